use std::{
    thread,
    time::{Duration, Instant},
};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks `ready` until it has an answer: the wait for something that another process does.
///
/// The pause between two questions grows from 2 to 100 ms. `what` completes the sentence
/// "waited for ...".
///
/// # Panics
/// When there is no answer within `limit`.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    match within(limit, &mut ready) {
        Some(answer) => answer,
        None => panic!("waited {limit:?} for {what}, in vain"),
    }
}

/// Asks `ready` until it has an answer; none when the limit has passed. It is asked at least once,
/// and once more at the very end, so that a slow machine does not decide.
pub(crate) fn within<T>(limit: Duration, ready: &mut dyn FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    loop {
        let last = Instant::now() >= end;
        if let Some(answer) = ready() {
            return Some(answer);
        }
        if last {
            return None;
        }
        let rest = end.saturating_duration_since(Instant::now());
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where a test pauses: between two questions to another process"
        )]
        thread::sleep(pause.min(rest));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    #[test]
    fn the_answer_is_handed_over_as_soon_as_there_is_one() {
        let mut asked = 0;
        let answer = wait_for("the third question", Duration::from_secs(5), || {
            asked += 1;
            (asked == 3).then_some("here")
        });
        assert_eq!((answer, asked), ("here", 3));
    }

    #[test]
    fn waiting_in_vain_says_for_what_and_how_long() {
        let waited = panic::catch_unwind(|| {
            wait_for("a miracle", Duration::from_millis(5), || None::<()>);
        });
        let panicked = waited.expect_err("it never comes");
        let text = panicked.downcast_ref::<String>().expect("a message");
        assert!(text.contains("a miracle") && text.contains("5ms"), "{text}");
    }

    #[test]
    fn without_any_time_there_is_still_one_question() {
        assert_eq!(wait_for("what is there already", Duration::ZERO, || Some(7)), 7);
    }
}
