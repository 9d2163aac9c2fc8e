//! W3C Trace Context, level 1: <https://www.w3.org/TR/trace-context-1/>.

use std::{fmt, str::FromStr};

/// The position of one piece of work in a trace: the value of the `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The piece of work; never 0.
    pub span_id: u64,
    /// Whether the one who began the trace records it.
    pub sampled: bool,
}

/// What stands in a `traceparent` header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no traceparent: it would be 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case, \
     with neither id all zero"
)]
pub struct InvalidTraceParent;

impl TraceParent {
    /// The first piece of work of a new trace. The ids are random and not secret.
    #[must_use]
    pub fn root() -> Self {
        Self { trace_id: fastrand::u128(1..), span_id: fastrand::u64(1..), sampled: true }
    }

    /// A new piece of work in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: fastrand::u64(1..), ..self }
    }

    /// The trace id as it is written everywhere: 32 hex digits in lower case.
    #[must_use]
    pub fn trace_id_hex(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Version 00 is read strictly. Of a later version, the part that version 00 knows is read and
    /// the rest left aside, as section 3.2.2.4 of the standard wants it; 0xff is no version.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let field = |from: usize, to: usize| {
            let digits = text.get(from..to).filter(|part| part.bytes().all(is_lower_hex))?;
            u128::from_str_radix(digits, 16).ok()
        };
        let dash = |at: usize| text.as_bytes().get(at) == Some(&b'-');
        let read = || {
            let version = field(0, 2).filter(|version| *version != 0xff)?;
            let fits = text.len() == 55 || (version > 0 && text.len() > 55 && dash(55));
            (fits && dash(2) && dash(35) && dash(52)).then_some(())?;
            let trace_id = field(3, 35).filter(|id| *id != 0)?;
            let span_id = field(36, 52).filter(|id| *id != 0)?;
            let flags = field(53, 55)?;
            let span_id = u64::try_from(span_id).ok()?;
            Some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
        };
        read().ok_or(InvalidTraceParent)
    }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_written_is_read() {
        let parsed: TraceParent = GOOD.parse().unwrap();
        assert_eq!(parsed.to_string(), GOOD);
        assert!(parsed.sampled);
        assert_eq!(parsed.trace_id_hex(), "0af7651916cd43dd8448eb211c80319c");
        let root = TraceParent::root();
        assert_eq!(root.to_string().parse(), Ok(root));
    }

    #[test]
    fn a_child_stays_in_the_trace_and_is_other_work() {
        let root = TraceParent::root();
        let child = root.child();
        assert_eq!((child.trace_id, child.sampled), (root.trace_id, root.sampled));
        assert_ne!(child.span_id, root.span_id);
    }

    #[test]
    fn a_later_version_is_read_leniently() {
        let ids = &GOOD[2..55];
        for text in [format!("01{ids}"), format!("cc{ids}-what-will-be"), format!("fe{ids}-")] {
            let parsed: TraceParent = text.parse().unwrap();
            assert_eq!(parsed.to_string(), GOOD, "{text}");
        }
        assert_eq!(format!("01{ids}.later").parse::<TraceParent>(), Err(InvalidTraceParent));
    }

    #[test]
    fn unknown_flags_are_left_aside() {
        let parsed: TraceParent = format!("{}fe", &GOOD[..53]).parse().unwrap();
        assert!(!parsed.sampled);
    }

    #[test]
    fn hostile_values_are_refused() {
        let zeros = "0".repeat(32);
        let hostile = [
            String::new(),
            "-".repeat(55),
            GOOD.to_uppercase(),
            format!("{GOOD}-"),
            format!("{GOOD}-more"),
            format!("{GOOD} "),
            format!(" {}", &GOOD[..54]),
            GOOD[..54].to_owned(),
            format!("ff{}", &GOOD[2..]),
            format!("0g{}", &GOOD[2..]),
            format!("00-{zeros}-b7ad6b7169203331-01"),
            format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", &zeros[..16]),
            GOOD.replace('-', "_"),
            GOOD.replace("00-0a", "00-+a"),
            format!("00-{}-b7ad6b7169203331-01", "é".repeat(16)),
            format!("{}0x", &GOOD[..53]),
        ];
        for text in hostile {
            assert_eq!(text.parse::<TraceParent>(), Err(InvalidTraceParent), "{text}");
        }
    }
}
