//! The limits of the calls to one dependency.

use std::{fmt, time::Duration};

use backline_resilience::{BreakerConfig, Window};

/// The limits of all calls to one dependency. Every client has them: the defaults, or what the
/// settings say for this dependency (`BACKLINE_CALLS_<NAME>`, see [`Limits::from_text`]).
///
/// The defaults are for calls on a local network that somebody waits for. They are tighter than
/// resilience4j's where that one assumes heavy traffic: a breaker that needs 100 calls before it
/// may open never opens in a small company. Limits come from text only, so they are always valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The time of a whole call: finding an instance, waiting for a place, all tries, the answer's
    /// last byte. From 1 ms to an hour; default 5 s, and for the gateway's traffic what the gateway
    /// gives. A call can ask for another.
    pub(crate) timeout: Option<Duration>,
    /// The bulkhead: connections to the dependency, in use and idle. From 1 to 65,535; default 64,
    /// and 512 for the gateway's traffic, which is as much as all callers together.
    pub(crate) connections: Option<usize>,
    /// How long a call waits for one of them before it is refused. From 0 to a minute; default
    /// 250 ms.
    pub(crate) wait: Duration,
    /// An idle connection is closed after this time. Shorter than servers' usual, so that it is
    /// mostly we who close. Default 10 s.
    pub(crate) idle: Duration,
    /// How often one call is tried at most, where a retry is safe. From 1 (no retries) to 10;
    /// default 3.
    pub(crate) tries: u32,
    /// How many retries there may be for each call, over all calls. From 0 to 1; default 0.1.
    pub(crate) retries: f64,
    /// When the breaker opens and how it closes.
    pub(crate) breaker: BreakerConfig,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: None,
            connections: None,
            wait: Duration::from_millis(250),
            idle: Duration::from_secs(10),
            tries: 3,
            retries: 0.1,
            breaker: BreakerConfig {
                window: Window::Count(100),
                minimum_calls: 20,
                failure_rate: 0.5,
                slow_call: Duration::from_secs(1),
                slow_rate: 1.0,
                open_for: Duration::from_secs(5),
                probes: 5,
                probe_within: Duration::from_secs(10),
            },
        }
    }
}

/// What is wrong with limits that are given as text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidLimits(String);

impl Limits {
    /// Reads limits as settings have them: `name=value` with spaces between, in any order; what is
    /// not named keeps its default.
    ///
    /// | name | value | meaning |
    /// |---|---|---|
    /// | `timeout` | `2s`, `300ms` | a whole call |
    /// | `connections` | `32` | the bulkhead's places |
    /// | `wait` | `100ms` | for a place |
    /// | `tries` | `1` | of one call at most; 1 is no retries |
    /// | `retries` | `10%` | of all calls at most |
    /// | `failures` | `50%` | the rate of failed calls that opens the breaker |
    /// | `slow` | `1s` | longer calls are slow |
    /// | `slow-rate` | `100%` | the rate of slow calls that opens the breaker |
    /// | `window` | `100` or `10s` | the calls that the rates are taken of: the last so many, or of so long |
    /// | `minimum` | `20` | calls before there is a rate |
    /// | `open` | `5s` | how long an open breaker refuses before it probes |
    /// | `probes` | `5` | calls that a half-open breaker lets through |
    ///
    /// # Errors
    /// Names the first entry that is wrong and what would be right.
    pub fn from_text(text: &str) -> Result<Self, InvalidLimits> {
        let mut limits = Self::default();
        for entry in text.split_whitespace() {
            let Some((name, value)) = entry.split_once('=') else {
                return Err(InvalidLimits(format!("'{entry}' is not name=value")));
            };
            limits
                .set(name, value)
                .map_err(|right| InvalidLimits(format!("'{name}' is '{value}': give {right}")))?;
        }
        let longest = limits.timeout.unwrap_or_default();
        limits.breaker.probe_within = limits.breaker.probe_within.max(longest);
        let checked = limits.breaker.check();
        checked.map_err(|error| InvalidLimits(error.to_string()))?;
        Ok(limits)
    }

    /// Takes one entry, or says what would be right.
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        const HOUR: Duration = Duration::from_secs(3600);
        let breaker = &mut self.breaker;
        match name {
            "timeout" => self.timeout = Some(duration(value, 1, HOUR)?),
            "connections" => self.connections = Some(count(value, 65_535)? as usize),
            "wait" => self.wait = duration(value, 0, Duration::from_secs(60))?,
            "tries" => {
                self.tries = count(value, 10).map_err(|_| "a number of tries from 1 to 10")?;
            }
            "retries" => self.retries = share(value)?,
            "failures" => breaker.failure_rate = share(value)?,
            "slow" => breaker.slow_call = duration(value, 1, HOUR)?,
            "slow-rate" => breaker.slow_rate = share(value)?,
            "window" => {
                breaker.window = match count(value, 10_000) {
                    Ok(calls) => Window::Count(calls),
                    Err(_) => Window::Time(duration(value, 1000, HOUR).map_err(
                        |_| "a number of calls from 1 to 10000, or a time from 1s to 1h",
                    )?),
                };
            }
            "minimum" => breaker.minimum_calls = count(value, 10_000)?,
            "open" => breaker.open_for = duration(value, 1, HOUR)?,
            "probes" => breaker.probes = count(value, 1000)?,
            _ => {
                return Err(
                    "one of timeout, connections, wait, tries, retries, failures, slow, slow-rate, \
                     window, minimum, open, probes",
                );
            }
        }
        Ok(())
    }
}

/// As [`Limits::from_text`] reads it, whole.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaker = &self.breaker;
        if let Some(connections) = self.connections {
            write!(f, "connections={connections} ")?;
        }
        if let Some(timeout) = self.timeout {
            write!(f, "timeout={timeout:?} ")?;
        }
        write!(
            f,
            "wait={:?} tries={} retries={}% failures={}% slow={:?} \
             slow-rate={}% window={} minimum={} open={:?} probes={}",
            self.wait,
            self.tries,
            self.retries * 100.0,
            breaker.failure_rate * 100.0,
            breaker.slow_call,
            breaker.slow_rate * 100.0,
            match breaker.window {
                Window::Count(calls) => calls.to_string(),
                Window::Time(time) => format!("{time:?}"),
            },
            breaker.minimum_calls,
            breaker.open_for,
            breaker.probes,
        )
    }
}

/// `250ms`, `2s` or `1.5s`; from `least` milliseconds to `most`.
fn duration(text: &str, least: u64, most: Duration) -> Result<Duration, &'static str> {
    const RIGHT: &str = "a time such as 250ms or 2s, within its range";
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').ok_or(RIGHT)?, 1.0),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| plain).ok_or(RIGHT)?;
    let time = Duration::try_from_secs_f64(number * unit).map_err(|_| RIGHT)?;
    let range = Duration::from_millis(least)..=most;
    if range.contains(&time) { Ok(time) } else { Err(RIGHT) }
}

fn count(text: &str, most: u32) -> Result<u32, &'static str> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or("a whole number from 1, within its range")
}

/// `50%`, as 0.5.
fn share(text: &str) -> Result<f64, &'static str> {
    let number = text.strip_suffix('%').and_then(|number| number.parse().ok());
    let share = number.filter(|percent: &f64| (0.0..=100.0).contains(percent));
    share.map(|percent| percent / 100.0).ok_or("a share from 0% to 100%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_keeps_its_default() {
        assert_eq!(Limits::from_text("").unwrap(), Limits::default());
        let limits = Limits::from_text("timeout=2s wait=0ms window=10s failures=25%").unwrap();
        assert_eq!(limits.timeout, Some(Duration::from_secs(2)));
        assert_eq!(limits.wait, Duration::ZERO);
        assert_eq!(limits.breaker.window, Window::Time(Duration::from_secs(10)));
        assert_eq!(limits.breaker.failure_rate, 0.25);
        assert_eq!(limits.connections, Limits::default().connections);
    }

    #[test]
    fn a_probe_may_take_as_long_as_any_call() {
        let limits = Limits::from_text("timeout=60s").unwrap();
        assert_eq!(limits.breaker.probe_within, Duration::from_secs(60));
    }

    #[test]
    fn limits_are_shown_as_they_are_read() {
        let limits = Limits::from_text("timeout=1.5s window=30s tries=1 retries=5%").unwrap();
        assert_eq!(Limits::from_text(&limits.to_string()).unwrap(), limits);
    }

    #[test]
    fn wrong_limits_say_what_would_be_right() {
        let wrong = [
            ("timeout", "name=value"),
            ("timeout=", "such as 250ms"),
            ("timeout=0s", "such as 250ms"),
            ("timeout=-1s", "such as 250ms"),
            ("timeout=1e3s", "such as 250ms"),
            ("timeout=2h", "such as 250ms"),
            ("connections=0", "from 1"),
            ("connections=65536", "from 1"),
            ("tries=0", "from 1 to 10"),
            ("failures=101%", "0% to 100%"),
            ("failures=0.5", "0% to 100%"),
            ("failures=0%", "failure_rate"),
            ("window=0", "a number of calls"),
            ("pause=1s", "one of timeout"),
        ];
        for (text, right) in wrong {
            let error = Limits::from_text(text).unwrap_err().to_string();
            assert!(error.contains(right), "{text}: {error}");
        }
    }
}
