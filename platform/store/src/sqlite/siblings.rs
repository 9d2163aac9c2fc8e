//! Hearing that another process has written to the file.
//!
//! Every commit appends to SQLite's log (`PATH-wal`), which stays the same file for as long as this
//! process has the store open. inotify tells of the append without opening the file, so that no
//! descriptor of ours is ever closed on it and SQLite's locks stay. The append comes *before* the
//! commit counts (the sync lies between), so it is only the signal to start looking: the writer
//! asks SQLite whether others have committed, soon at first and then less and less often.
//! A file of our own to touch after a commit was rejected: a process that is killed between commit
//! and touch would leave its siblings asleep.

use std::{io, path::PathBuf, pin::pin, sync::mpsc, time::Duration};

use futures_util::{FutureExt, Stream, StreamExt};
use inotify::{Inotify, WatchMask};

use super::writer::Message;

/// Pauses before the looks that follow a sign. A burst of signs costs one
/// look per first pause; the last ones are for a disk whose sync takes seconds.
const LOOKS: [Duration; 12] = {
    let ms = Duration::from_millis;
    [
        ms(2),
        ms(2),
        ms(4),
        ms(4),
        ms(8),
        ms(8),
        ms(16),
        ms(64),
        ms(256),
        ms(1000),
        ms(2000),
        ms(4000),
    ]
};
/// How often to look where inotify is not to be had.
const POLL: Duration = Duration::from_millis(15);

/// Asks the writer to look, whenever the log has changed, until this task is aborted.
pub(crate) async fn listen(log: PathBuf, writer: mpsc::Sender<Message>) {
    let ended = match watch(&log) {
        Ok(signs) => follow(signs, &writer).await,
        Err(error) => Err(error),
    };
    let Err(error) = ended else { return };
    tracing::warn!(
        log = %log.display(),
        %error,
        "the store's log cannot be watched (fs.inotify.max_user_instances may be used up); \
         looking for commits of siblings every {} ms instead",
        POLL.as_millis()
    );
    while writer.send(Message::Look).is_ok() {
        tokio::time::sleep(POLL).await;
    }
}

/// Signs that the log has been written to.
fn watch(log: &PathBuf) -> io::Result<impl Stream<Item = io::Result<()>>> {
    let inotify = Inotify::init()?;
    inotify.watches().add(log, WatchMask::MODIFY)?;
    let events = inotify.into_event_stream(vec![0; 1024])?;
    Ok(events.map(|event| event.map(drop)))
}

/// Returns when the writer has ended; an error when there is nothing to watch any more.
async fn follow(
    signs: impl Stream<Item = io::Result<()>>,
    writer: &mpsc::Sender<Message>,
) -> io::Result<()> {
    let mut signs = pin!(signs);
    // What was committed before the watch began must not be missed: look as after a sign.
    let mut looks = LOOKS.iter();
    loop {
        let Some(&pause) = looks.next() else {
            signs.next().await.transpose()?;
            looks = LOOKS.iter();
            continue;
        };
        // Signs are collected in the first part of a pause; one in the rest cuts it short.
        tokio::time::sleep(LOOKS[0]).await;
        let mut seen = false;
        while let Some(sign) = signs.next().now_or_never() {
            sign.transpose()?;
            seen = true;
        }
        if !seen && let Ok(sign) = tokio::time::timeout(pause - LOOKS[0], signs.next()).await {
            sign.transpose()?;
            seen = true;
        }
        if seen {
            looks = LOOKS.iter();
        }
        if writer.send(Message::Look).is_err() {
            return Ok(());
        }
    }
}
