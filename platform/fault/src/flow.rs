//! One direction of a connection: what is read waits its time, and is handed on in parts.

use std::{
    future::pending,
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use fastrand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use crate::{Faults, Flow};

/// The most that is read at once, in bytes.
const READ: usize = 16 * 1024;
/// Reads that may be on their way.
const QUEUED: usize = 1024;
/// A narrow line passes so many parts per second: few enough for a timer of a millisecond.
const PARTS_PER_SECOND: u64 = 50;
/// How much of a pause that came late is made up for, so that the bandwidth is met on average.
const MADE_UP: Duration = Duration::from_millis(10);

/// How a connection ended that did not end in order.
#[derive(Debug)]
pub(crate) enum End {
    /// A side broke it.
    Broken,
    /// It was cut here.
    Cut,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// Bytes, the end where there are none, or that it broke; and when that arrives.
struct Parcel {
    bytes: io::Result<Vec<u8>>,
    due: Instant,
}

/// Which of the two directions.
pub(crate) type Side = fn(&Faults) -> &Flow;

/// Passes on one direction until its end.
pub(crate) async fn carry(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    faults: watch::Receiver<Faults>,
    side: Side,
    rng: Rng,
    passed: &AtomicU64,
) -> Result<(), End> {
    let (queue, queued) = mpsc::channel(QUEUED);
    let free_at = Instant::now();
    let handing = Handing { to, faults: faults.clone(), side, passed, carried: 0, free_at };
    tokio::try_join!(take_in(from, queue, faults, side, rng), handing.hand_on(queued))?;
    Ok(())
}

async fn take_in(
    mut from: ReadHalf<'_>,
    queue: mpsc::Sender<Parcel>,
    faults: watch::Receiver<Faults>,
    side: Side,
    mut rng: Rng,
) -> Result<(), End> {
    let mut buffer = vec![0; READ];
    let mut last = Instant::now();
    loop {
        let read = from.read(&mut buffer).await;
        let latency = latency(side(&faults.borrow()), &mut rng);
        last = last.max(later(Instant::now(), latency));
        // What breaks a connection takes as long as what it carries: an answer before a reset
        // still arrives.
        let is_last = !read.as_ref().is_ok_and(|read| *read > 0);
        let parcel = Parcel { bytes: read.map(|read| buffer[..read].to_vec()), due: last };
        if queue.send(parcel).await.is_err() || is_last {
            return Ok(());
        }
    }
}

/// A latency that no clock can hold is one that never ends.
fn later(now: Instant, latency: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    now.checked_add(latency).unwrap_or(now + NEVER)
}

fn latency(flow: &Flow, rng: &mut Rng) -> Duration {
    if flow.jitter.is_zero() {
        return flow.latency;
    }
    let shift = flow.jitter.mul_f64(2.0 * rng.f64());
    flow.latency.saturating_add(shift).saturating_sub(flow.jitter)
}

struct Handing<'a> {
    to: WriteHalf<'a>,
    faults: watch::Receiver<Faults>,
    side: Side,
    /// Of all connections.
    passed: &'a AtomicU64,
    /// Of this one.
    carried: u64,
    /// When the next part may pass.
    free_at: Instant,
}

impl Handing<'_> {
    async fn hand_on(mut self, mut queued: mpsc::Receiver<Parcel>) -> Result<(), End> {
        while let Some(Parcel { bytes, due }) = queued.recv().await {
            sleep_until(due).await;
            let bytes = bytes?;
            if bytes.is_empty() {
                return self.close().await;
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                rest = self.part_of(rest).await?;
            }
        }
        Ok(())
    }

    /// Passes on as much as may pass at once; the rest is the answer.
    async fn part_of<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], End> {
        self.pause().await;
        self.while_silent().await;
        let flow = (self.side)(&self.faults.borrow_and_update()).clone();
        let left = flow.cut_after.map(|all| all.saturating_sub(self.carried));
        let (part, rest) = bytes.split_at(size(&flow, left, bytes.len()));
        self.to.write_all(part).await?;
        let size = part.len() as u64;
        self.carried += size;
        self.passed.fetch_add(size, Ordering::Relaxed);
        if left.is_some_and(|left| left <= size) {
            return Err(End::Cut);
        }
        let now = Instant::now();
        let narrow = flow.bandwidth.map(|bandwidth| {
            let takes = Duration::from_secs_f64(size as f64 / bandwidth.get() as f64);
            self.free_at.max(now.checked_sub(MADE_UP).unwrap_or(now)) + takes
        });
        let dribbled = flow.dribble.map(|dribble| now + dribble.every);
        self.free_at = narrow.max(dribbled).unwrap_or(now);
        Ok(rest)
    }

    async fn close(&mut self) -> Result<(), End> {
        self.while_silent().await;
        let slow = (self.side)(&self.faults.borrow_and_update()).slow_close;
        self.free_at = Instant::now() + slow;
        self.pause().await;
        Ok(self.to.shutdown().await?)
    }

    /// Until the next part may pass. Other faults end it, so that nothing waits for a line that is
    /// good again.
    async fn pause(&mut self) {
        if self.free_at <= Instant::now() {
            return;
        }
        tokio::select! {
            () = sleep_until(self.free_at) => {}
            Ok(()) = self.faults.changed() => self.free_at = Instant::now(),
        }
    }

    async fn while_silent(&mut self) {
        if self.faults.wait_for(|faults| !faults.black_hole).await.is_err() {
            // The proxy is going away, and its connections with it.
            pending::<()>().await;
        }
    }
}

/// How many of so many bytes may pass at once; `left` until the cut.
fn size(flow: &Flow, left: Option<u64>, bytes: usize) -> usize {
    let narrow = flow.bandwidth.map(|bandwidth| (bandwidth.get() / PARTS_PER_SECOND).max(1));
    let limit = narrow.into_iter().chain(left).min().unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    bytes.min(limit).min(flow.dribble.map_or(usize::MAX, |dribble| dribble.bytes.get()))
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU64, NonZeroUsize};

    use super::*;
    use crate::Dribble;

    #[test]
    fn the_same_seed_gives_the_same_jitter_within_its_bounds() {
        let ms = Duration::from_millis;
        let flow = Flow { latency: ms(200), jitter: ms(50), ..Flow::default() };
        let of = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..1000).map(|_| latency(&flow, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(of(1).iter().all(|latency| (ms(150)..=ms(250)).contains(latency)));
        assert!(of(1).iter().any(|latency| *latency < ms(160)));
        assert!(of(1).iter().any(|latency| *latency > ms(240)));
        let early = Flow { latency: ms(0), ..flow };
        let mut rng = Rng::with_seed(1);
        assert!((0..100).any(|_| latency(&early, &mut rng).is_zero()), "never below 0");
    }

    #[test]
    fn a_part_is_as_small_as_the_narrowest_limit() {
        let narrow = Flow { bandwidth: NonZeroU64::new(1000), ..Flow::default() };
        assert_eq!(size(&Flow::default(), None, 5000), 5000);
        assert_eq!(size(&narrow, None, 5000), 20);
        assert_eq!(size(&narrow, Some(3), 5000), 3);
        let every = Duration::ZERO;
        let dribble = NonZeroUsize::new(2).map(|bytes| Dribble { bytes, every });
        assert_eq!(size(&Flow { dribble, ..narrow }, Some(3), 5000), 2);
        let slowest = Flow { bandwidth: NonZeroU64::new(1), ..Flow::default() };
        assert_eq!(size(&slowest, None, 5000), 1);
    }
}
