//! When a failed request may be sent again.
//!
//! A request is repeated only where it cannot have been carried out twice: nothing of it was sent,
//! the instance itself says it is the wrong one, or the method is idempotent (RFC 9110, 9.2.2) and
//! its body is still here. An answer that is late is not a reason: the instance is at work on it,
//! and doing the work twice makes a slow service slower.

use http::Method;

/// How an attempt ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// No connection, or it was closed before the request went out.
    NotSent,
    /// An instance of another service answered: its address is out of date (421).
    Misdirected,
    /// The connection was cut before the head of an answer.
    Cut,
    /// No head of an answer in time.
    Late,
    /// The caller sends no more of its body.
    CallerSlow,
    /// The caller's body broke off.
    CallerGone,
}

/// The most instances that one request is tried on. Each costs up to the connect timeout.
const MOST_TRIES: u32 = 3;

/// What was tried for one request.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    made: u32,
    repeated: bool,
}

impl Tries {
    /// Notes a failed attempt and says whether another may be made.
    pub fn another(&mut self, failed: Failed, method: &Method, body_is_here: bool) -> bool {
        self.made += 1;
        let may = match failed {
            Failed::NotSent | Failed::Misdirected => body_is_here,
            Failed::Cut => body_is_here && is_idempotent(method) && !self.repeated,
            Failed::Late | Failed::CallerSlow | Failed::CallerGone => false,
        };
        self.repeated |= failed == Failed::Cut;
        may && self.made < MOST_TRIES
    }
}

/// Idempotent by its definition. Other methods may be, but nobody said so.
pub(crate) fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE].contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(failed: Failed, method: &Method, body_is_here: bool) -> bool {
        Tries::default().another(failed, method, body_is_here)
    }

    #[test]
    fn what_was_not_sent_is_tried_elsewhere_whatever_it_is() {
        for method in [Method::GET, Method::POST, Method::PATCH] {
            assert!(first(Failed::NotSent, &method, true), "{method}");
            assert!(first(Failed::Misdirected, &method, true), "{method}");
            assert!(!first(Failed::Misdirected, &method, false), "{method}: its body is gone");
        }
    }

    #[test]
    fn what_may_have_been_done_is_repeated_only_if_idempotent() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
            assert!(first(Failed::Cut, &method, true), "{method}");
            assert!(!first(Failed::Cut, &method, false), "{method}: its body is gone");
        }
        for name in ["POST", "PATCH", "LOCK", "get"] {
            let method = Method::from_bytes(name.as_bytes()).expect("a method");
            assert!(!first(Failed::Cut, &method, true), "{name}");
        }
    }

    #[test]
    fn a_cut_request_is_repeated_once() {
        let mut tries = Tries::default();
        assert!(tries.another(Failed::Cut, &Method::GET, true));
        assert!(!tries.another(Failed::Cut, &Method::GET, true));
    }

    #[test]
    fn the_number_of_instances_tried_is_bounded() {
        let mut tries = Tries::default();
        assert!(tries.another(Failed::NotSent, &Method::GET, true));
        assert!(tries.another(Failed::NotSent, &Method::GET, true));
        assert!(!tries.another(Failed::NotSent, &Method::GET, true));
    }

    #[test]
    fn a_late_answer_is_never_asked_for_again() {
        assert!(!first(Failed::Late, &Method::GET, true));
    }
}
