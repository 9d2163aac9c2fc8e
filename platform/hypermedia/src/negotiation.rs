//! The choice of a representation by `Accept` (RFC 9110, 12.5.1).

use http::{HeaderMap, StatusCode, header};

use crate::Problem;

/// The formats that a resource is rendered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// HAL: `application/hal+json`. The default.
    Json,
    /// The same text for callers that ask for `application/json` by name.
    PlainJson,
    /// A page for people: `text/html`.
    Html,
}

/// In the order of our own preference.
const OFFERS: [Format; 3] = [Format::Json, Format::PlainJson, Format::Html];

impl Format {
    fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "hal+json"),
            Self::PlainJson => ("application", "json"),
            Self::Html => ("text", "html"),
        }
    }
}

/// The format that the caller likes best.
///
/// Each format has the quality of the most specific range that names it. Among equals, one that is
/// named wins over one that a wildcard admits (`text/html, */*` is a browser's), then our own order
/// decides. No header and an empty one admit everything. A range that cannot be read is passed
/// over, and a header with no readable one counts as none.
///
/// # Errors
/// 406 `not-acceptable`, which names what there is.
pub fn negotiate(headers: &HeaderMap) -> Result<Format, Problem> {
    let ranges: Vec<Range> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split(value, ','))
        .filter_map(Range::parse)
        .collect();
    if ranges.is_empty() {
        return Ok(Format::Json);
    }
    let mut best = None;
    for format in OFFERS {
        let liking = ranges
            .iter()
            .filter_map(|range| Some((range.specificity(format)?, range.quality)))
            .max_by_key(|(specificity, _)| *specificity)
            .map(|(specificity, quality)| (quality, specificity > ANY));
        if let Some(liking) = liking
            && liking.0 > 0
            && best.is_none_or(|(_, most)| liking > most)
        {
            best = Some((format, liking));
        }
    }
    best.map(|(format, _)| format).ok_or_else(not_acceptable)
}

fn not_acceptable() -> Problem {
    let there_is = OFFERS.map(|format| {
        let (kind, subtype) = format.media_type();
        format!("{kind}/{subtype}")
    });
    Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "not-acceptable",
        "There is no representation of the kind that was asked for",
    )
    .detail(format!("Ask for one of: {}.", there_is.join(", ")))
    .with("available", there_is)
}

/// The specificity of `*/*`.
const ANY: u8 = 0;

/// A media range with its quality in thousandths.
struct Range {
    kind: String,
    subtype: String,
    parameters: Vec<(String, String)>,
    quality: u16,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = split(text, ';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) || (kind == "*" && subtype != "*") {
            return None;
        }
        let mut range = Self {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
            parameters: Vec::new(),
            quality: 1000,
        };
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let name = name.trim().to_ascii_lowercase();
            if name == "q" {
                range.quality = quality(value.trim())?;
                // What RFC 7231 called accept-ext comes behind `q` and says nothing of the type.
                break;
            }
            let value = value.trim().trim_matches('"').to_ascii_lowercase();
            range.parameters.push((name, value));
        }
        Some(range)
    }

    /// How exactly this names the format, if it does at all.
    fn specificity(&self, format: Format) -> Option<u8> {
        let (kind, subtype) = format.media_type();
        let parameters_fit = self.parameters.iter().all(|(name, value)| match format {
            // RFC 8259 gives `application/json` no such parameter and says to disregard it.
            Format::Json | Format::PlainJson => name == "charset",
            Format::Html => name == "charset" && value == "utf-8",
        });
        match (&*self.kind, &*self.subtype) {
            _ if !parameters_fit => None,
            ("*", _) => Some(ANY),
            (this, "*") if this == kind => Some(1),
            (this, that) if this == kind && that == subtype => {
                Some(2 + u8::from(!self.parameters.is_empty()))
            }
            _ => None,
        }
    }
}

/// `0`, `1`, or up to three decimals between them.
fn quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || decimals.len() > 3 {
        return None;
    }
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let quality = format!("{whole}{decimals:0<3}").parse().ok()?;
    (quality <= 1000).then_some(quality)
}

fn is_token(text: &str) -> bool {
    let sign = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || sign(byte))
}

/// Splits outside quoted strings.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |char| {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => return !quoted && char == separator,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::{Format::*, *};

    fn asking(accept: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))])
    }

    fn all(cases: &[(&str, Format)]) {
        for (accept, format) in cases {
            assert_eq!(negotiate(&asking(accept)), Ok(*format), "Accept: {accept}");
        }
    }

    #[test]
    fn who_does_not_care_gets_json() {
        assert_eq!(negotiate(&HeaderMap::new()), Ok(Json));
        all(&[("", Json), ("*/*", Json), ("application/*", Json), ("text/*;q=0.1, */*", Json)]);
    }

    #[test]
    fn browsers_get_the_page() {
        all(&[
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
                 image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
                Html,
            ),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Html),
            ("text/html, */*", Html),
            ("text/*, */*", Html),
        ]);
    }

    #[test]
    fn a_named_type_is_given() {
        all(&[
            ("application/hal+json", Json),
            ("application/json", PlainJson),
            ("Application/JSON; Charset=UTF-8", PlainJson),
            ("application/json, text/plain, */*", PlainJson),
            ("text/html", Html),
            ("text/html;charset=\"utf-8\"", Html),
            ("text/html, application/hal+json", Json),
            ("image/png, text/html", Html),
        ]);
    }

    #[test]
    fn quality_decides() {
        all(&[
            ("application/hal+json;q=0.8, text/html;q=0.801", Html),
            ("application/hal+json;q=0.8, text/html;q=0.8", Json),
            ("application/hal+json; q=0.5, text/html ;Q=0.7", Html),
            ("application/hal+json;q=1.000, text/html;q=0.999", Json),
            ("text/html;q=0.2, */*;q=0.1", Html),
            ("text/html;q=0.1, */*;q=0.2", Json),
        ]);
    }

    #[test]
    fn the_most_specific_range_decides_whatever_its_place() {
        all(&[
            ("text/html, application/hal+json;q=0.1, application/*;q=0.9, */*", Html),
            ("*/*, application/*;q=0.9, application/hal+json;q=0.1, text/html", Html),
            ("text/html;charset=utf-8;q=0.1, text/html, application/json;q=0.5", PlainJson),
            ("application/*;q=0.3, application/json;q=0.2, text/html;q=0.25", Json),
        ]);
    }

    #[test]
    fn zero_excludes() {
        all(&[
            ("text/html;q=0, */*", Json),
            ("application/hal+json;q=0, */*", PlainJson),
            ("application/*;q=0, */*;q=0.1", Html),
            ("application/*;q=0.0, text/html;q=0.001", Html),
        ]);
        for accept in ["text/html;q=0", "*/*;q=0", "text/html;q=0, */*;q=0.000"] {
            assert!(negotiate(&asking(accept)).is_err(), "Accept: {accept}");
        }
    }

    #[test]
    fn ranges_may_come_in_several_headers() {
        let mut headers = asking("application/hal+json;q=0.5");
        headers.append(header::ACCEPT, "text/html".parse().expect("a header"));
        assert_eq!(negotiate(&headers), Ok(Html));
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        all(&[
            ("text/html;q=2, application/json;q=0.1", PlainJson),
            ("text/html;q=0.1234, application/json;q=0.1", PlainJson),
            ("text/html;q=1.001, application/json;q=0.1", PlainJson),
            ("text/html;q=, application/json;q=.2", Json),
            ("text/html;q=0.+1, application/json;q=0.1", PlainJson),
            ("*/html, text /html, application/json;q=0.1", PlainJson),
            (", ,text/html,", Html),
            ("text/html;, application/json;q=0.1", Html),
            ("*, nonsense", Json),
            ("image/png;x=\"a,text/html,\\\"b\", application/json", PlainJson),
        ]);
    }

    #[test]
    fn a_parameter_that_no_format_has_names_none() {
        for accept in ["text/html;level=1", "text/html;charset=latin1", "application/json;odata=x"]
        {
            assert!(negotiate(&asking(accept)).is_err(), "Accept: {accept}");
        }
        all(&[("text/html;q=0.5;level=1", Html)]);
    }

    #[test]
    fn when_nothing_fits_the_answer_says_what_there_is() {
        let problem = negotiate(&asking("image/png, application/xml;q=0.9")).expect_err("nothing");
        assert_eq!((problem.status().as_u16(), problem.code()), (406, "not-acceptable"));
        let detail = problem.detail.expect("a detail");
        assert_eq!(detail, "Ask for one of: application/hal+json, application/json, text/html.");
        assert_eq!(
            problem.extensions.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["available"]
        );
    }
}
