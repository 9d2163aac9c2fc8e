//! Which service a request's path names, and which paths are refused.
//!
//! The path is forwarded as it came, byte for byte. That is safe only if no reader on the way can
//! see another path in it: so everything that one reader resolves and another does not is refused
//! here (dot segments, empty segments, encoded dots and slashes, backslashes), rather than
//! normalised. What is left begins with `/<service>`, and operational paths do not.

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the target is not a path: it has to begin with '/'")]
    NoPath,
    #[error("the path has an empty segment ('//')")]
    EmptySegment,
    #[error("the path has a '.' or '..' segment")]
    DotSegment,
    #[error("the path has a backslash")]
    Backslash,
    #[error("the path has an encoded dot (%2e), which says the same as a plain one")]
    EncodedDot,
    #[error("the path has an encoded slash or backslash (%2f, %5c)")]
    EncodedSlash,
    #[error("the path has an encoded control character")]
    EncodedControl,
    #[error("the path has a '%' without two hex digits behind it; a percent sign itself is %25")]
    BrokenEncoding,
}

/// The first segment of a path that is safe to forward; empty for `/` itself.
///
/// # Errors
/// What the path could be misread by.
pub(crate) fn service_of(path: &str) -> Result<&str, Refused> {
    let segments = path.strip_prefix('/').ok_or(Refused::NoPath)?;
    if path.contains('\\') {
        return Err(Refused::Backslash);
    }
    encodings(path.as_bytes())?;
    if segments.is_empty() {
        return Ok("");
    }
    // One slash at the end is a path of its own, and a harmless one.
    let inner = segments.strip_suffix('/').unwrap_or(segments);
    for segment in inner.split('/') {
        // Some servers cut path parameters off first, and so see '..' in '..;x=1'.
        match segment.split(';').next().unwrap_or(segment) {
            "." | ".." => return Err(Refused::DotSegment),
            _ if segment.is_empty() => return Err(Refused::EmptySegment),
            _ => {}
        }
    }
    Ok(inner.split('/').next().unwrap_or(inner))
}

fn encodings(path: &[u8]) -> Result<(), Refused> {
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let digit = |offset| path.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(1), digit(2)) else {
            return Err(Refused::BrokenEncoding);
        };
        match high * 16 + low {
            0x2e => return Err(Refused::EncodedDot),
            0x2f | 0x5c => return Err(Refused::EncodedSlash),
            0x00..=0x1f | 0x7f => return Err(Refused::EncodedControl),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a service of this name can have a place in the gateway's paths. The gateway's own
/// operational paths are not for sale.
pub(crate) fn can_be_routed(service: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !service.is_empty()
        && service.bytes().all(plain)
        && !matches!(service, "health" | "metrics" | "gateway")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_names_the_service() {
        for (path, service) in [
            ("/", ""),
            ("/loyalty", "loyalty"),
            ("/loyalty/", "loyalty"),
            ("/loyalty/accounts/1", "loyalty"),
            ("/loyalty/accounts/", "loyalty"),
            ("/loyalty/health", "loyalty"),
            ("/catalog/artists/Mot%C3%B6rhead%20%252e", "catalog"),
            ("/catalog/...", "catalog"),
            ("/catalog/.well-known", "catalog"),
            ("/catalog/a:b@c;v=1,2", "catalog"),
        ] {
            assert_eq!(service_of(path), Ok(service), "{path}");
        }
    }

    #[test]
    fn an_encoded_name_is_not_decoded_into_a_service() {
        assert_eq!(service_of("/%6coyalty/accounts"), Ok("%6coyalty"));
        assert!(!can_be_routed("%6coyalty"));
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_refused() {
        for (path, refused) in [
            ("", Refused::NoPath),
            ("*", Refused::NoPath),
            ("//", Refused::EmptySegment),
            ("//health", Refused::EmptySegment),
            ("/loyalty//health", Refused::EmptySegment),
            ("/loyalty//", Refused::EmptySegment),
            ("/loyalty/a//", Refused::EmptySegment),
            ("/.", Refused::DotSegment),
            ("/..", Refused::DotSegment),
            ("/loyalty/../health", Refused::DotSegment),
            ("/loyalty/./health", Refused::DotSegment),
            ("/loyalty/..", Refused::DotSegment),
            ("/loyalty/..;/health", Refused::DotSegment),
            ("/loyalty/%2e%2e/health", Refused::EncodedDot),
            ("/loyalty/.%2E/health", Refused::EncodedDot),
            ("/loyalty%2f..%2fhealth", Refused::EncodedSlash),
            ("/loyalty/..%5chealth", Refused::EncodedSlash),
            ("/loyalty/..\\health", Refused::Backslash),
            ("/loyalty/%00", Refused::EncodedControl),
            ("/loyalty/%0d%0aX:", Refused::EncodedControl),
            ("/loyalty/%7F", Refused::EncodedControl),
            ("/loyalty/%", Refused::BrokenEncoding),
            ("/loyalty/%2", Refused::BrokenEncoding),
            ("/loyalty/%zz", Refused::BrokenEncoding),
        ] {
            assert_eq!(service_of(path), Err(refused), "{path}");
        }
    }

    #[test]
    fn operational_names_are_no_services() {
        for name in ["", "health", "metrics", "gateway", "a/b", "..", "a.b", "ä"] {
            assert!(!can_be_routed(name), "{name}");
        }
        assert!(can_be_routed("loyalty") && can_be_routed("sms-2_b"));
    }
}
