//! Why a call failed.

use std::{error::Error as StdError, fmt, net::SocketAddr, sync::Arc, time::Duration};

use backline_resilience::Outcome;
use http::Method;

/// The code of a 409 that says: the first request under this key is still being worked on.
const KEY_IN_USE: &str = "idempotency-key-in-use";

/// The code of a 504: our own time was over at the other side.
const ITS_TIME_WAS_OVER: &str = "deadline-exceeded";

/// Codes of a 503 before any work: the other side is well, and at its limit.
const SHEDS: [&str; 2] = ["overloaded", "too-many-connections"];

pub(crate) type Source = Box<dyn StdError + Send + Sync>;

/// A call that gave no usable answer: what failed, where, and whether to try again.
///
/// The message names the call and, where one answered, the instance. What lies behind it is in
/// `source()` and not repeated.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{call}: {what}")]
struct Inner {
    call: Call,
    kind: Kind,
    what: String,
    code: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Source>,
    /// The index of the answer that was this error, where a registry gave one.
    index: Option<u64>,
}

/// The kinds of failure, in the order of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The call itself is wrong: a reference that is none, a header or body that cannot be sent.
    Invalid,
    /// Its breaker is open: the service failed lately, or an operator stopped all calls to it.
    /// Nothing was sent.
    Open,
    /// Discovery knows no healthy instance.
    Unknown,
    /// All connections that may be open to the service are in use, and none came free in time.
    /// Nothing was sent.
    Full,
    /// No instance took the connection. Nothing was sent.
    Refused,
    /// Its time was over while it waited for this.
    TimedOut(Stage),
    /// The connection ended before the answer was complete.
    Cut,
    /// It was answered with this status of 400 or above.
    Status(u16),
    /// The answer is longer than the caller takes.
    TooLarge,
    /// What came cannot be understood: no HTTP, or not the JSON that was expected.
    Malformed,
}

/// What a call waits for, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The registry's first answer.
    Address,
    /// A free connection, as all that may be open to the service are in use.
    Slot,
    /// An instance to take the connection.
    Connect,
    /// The answer's head.
    Head,
    /// The rest of the answer.
    Body,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "for the registry's first answer",
            Self::Slot => "for a free connection: all that may be open to it are in use",
            Self::Connect => "to connect",
            Self::Head => "for the answer",
            Self::Body => "for the rest of the answer",
        })
    }
}

/// Which call an error or an answer belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub service: Arc<str>,
    pub method: Method,
    pub reference: String,
    /// The instance that it was sent to, once it was.
    pub instance: Option<SocketAddr>,
    /// Whether carrying it out twice does no more than once.
    pub repeatable: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of '{}'", self.method, excerpt(&self.reference), self.service)?;
        match self.instance {
            Some(address) => write!(f, " at {address}"),
            None => Ok(()),
        }
    }
}

impl Call {
    pub fn error(&self, kind: Kind, what: impl Into<String>) -> Error {
        let inner = Inner {
            call: self.clone(),
            kind,
            what: what.into(),
            code: None,
            source: None,
            index: None,
            retry_after: None,
        };
        Error(Box::new(inner))
    }

    pub fn timed_out(&self, stage: Stage, after: Duration) -> Error {
        self.error(Kind::TimedOut(stage), format!("waited {stage}, over after {after:?} in all"))
    }
}

impl Error {
    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_code(mut self, code: Option<String>) -> Self {
        self.0.code = code;
        self
    }

    pub(crate) fn with_index(mut self, index: Option<u64>) -> Self {
        self.0.index = index;
        self
    }

    /// Of which state of the registry the answer is (`X-Consul-Index`): that there is nothing is an
    /// error as HTTP has it, and an answer that can be followed.
    pub(crate) fn index(&self) -> Option<u64> {
        self.0.index
    }

    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The status of the answer, where there was one of 400 or above.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.0.kind {
            Kind::Status(status) => Some(status),
            _ => None,
        }
    }

    /// The code of the problem that the answer tells of, such as `email-taken`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// How long to wait before the same call can work, where that is known: what an answer's
    /// `Retry-After` says in seconds (RFC 9110, section 10.2.3), or how long the breaker stays open.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the other side, or the way to it, is away, so that the same call can work later:
    /// breaker open, unknown, no free connection, refused, timed out, cut, a status of 421, 429,
    /// 502, 503 or 504, or the same call under its `Idempotency-Key` is still being worked on.
    /// Otherwise it is the call that is at fault, or the other side's code.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self.0.kind {
            Kind::Open | Kind::Unknown | Kind::Full => true,
            Kind::Refused | Kind::TimedOut(_) | Kind::Cut => true,
            Kind::Status(409) => self.0.code.as_deref() == Some(KEY_IN_USE),
            Kind::Status(status) => matches!(status, 421 | 429 | 502 | 503 | 504),
            Kind::Invalid | Kind::TooLarge | Kind::Malformed => false,
        }
    }

    /// Whether the same call can be made again with a chance to succeed and no risk of being
    /// carried out twice: it was not sent, was turned away, or may be repeated by its method or its
    /// `Idempotency-Key`.
    #[must_use]
    pub fn is_retry_safe(&self) -> bool {
        let repeatable = self.0.call.repeatable;
        match self.0.kind {
            Kind::Open | Kind::Unknown | Kind::Full | Kind::Refused => true,
            Kind::Status(421 | 429) => true,
            Kind::Status(409) => self.0.code.as_deref() == Some(KEY_IN_USE),
            Kind::TimedOut(Stage::Address | Stage::Slot | Stage::Connect) => true,
            Kind::TimedOut(Stage::Head | Stage::Body) | Kind::Cut => repeatable,
            Kind::Status(status) => repeatable && status >= 500,
            Kind::Invalid | Kind::TooLarge | Kind::Malformed => false,
        }
    }

    /// What the breaker is to make of it, where the call `had_time` or not.
    ///
    /// A fault of the other side is no answer, none in time, or one that says so. A refusal of the
    /// call itself (4xx) is a success: the other side does its work. What never reached it says
    /// nothing; nor does a deadline that a healthy service cannot meet, nor that it protects itself
    /// from more work than it can do: a breaker would turn half of the work into none.
    pub(crate) fn verdict(&self, had_time: bool) -> Outcome {
        match self.0.kind {
            Kind::Invalid | Kind::Open | Kind::Unknown | Kind::Full => Outcome::Ignored,
            Kind::TimedOut(Stage::Address | Stage::Slot) => Outcome::Ignored,
            Kind::TimedOut(_) if !had_time => Outcome::Ignored,
            Kind::Status(504) if !had_time && self.code() == Some(ITS_TIME_WAS_OVER) => {
                Outcome::Ignored
            }
            Kind::Status(503) if self.code().is_some_and(|code| SHEDS.contains(&code)) => {
                Outcome::Ignored
            }
            // Too much asked, or asked of the wrong process.
            Kind::Status(421 | 429) => Outcome::Ignored,
            Kind::Status(status) if status < 500 => Outcome::Success,
            Kind::TooLarge => Outcome::Success,
            _ => Outcome::Failure,
        }
    }

    /// For the metrics: few values.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.0.kind {
            Kind::Invalid => "invalid",
            Kind::Open => "open",
            Kind::Unknown => "unknown",
            Kind::Full => "full",
            Kind::Refused => "refused",
            Kind::TimedOut(_) => "timeout",
            Kind::Cut => "cut",
            Kind::Status(400..500) => "client-error",
            Kind::Status(_) => "server-error",
            Kind::TooLarge => "too-large",
            Kind::Malformed => "malformed",
        }
    }
}

/// At most 200 characters, without control characters: others' text goes into messages and logs.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut short: String =
        text.chars().take(LONGEST).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}
