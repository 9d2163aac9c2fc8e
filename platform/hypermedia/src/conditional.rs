//! Entity tags and `If-None-Match`.

use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

/// A strong entity tag (RFC 9110, 8.8.3). The media type is part of it: the same bytes under
/// another type are another representation.
pub(crate) fn etag(content_type: &str, body: &[u8]) -> String {
    let digest =
        Sha256::new().chain_update(content_type).chain_update([0]).chain_update(body).finalize();
    let mut tag = String::with_capacity(34);
    tag.push('"');
    digest[..16].iter().for_each(|byte| tag.push_str(&format!("{byte:02x}")));
    tag.push('"');
    tag
}

/// Whether the caller has this representation already, so that 304 is the answer to its GET or HEAD
/// (RFC 9110, 13.1.2: `*`, or a tag that is equal in the weak comparison). What cannot be read is
/// no match: the caller then gets the representation, which is never wrong.
#[must_use]
pub fn not_modified(request: &HeaderMap, etag: &str) -> bool {
    let etag = opaque(etag);
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.trim() == "*" || tags(value).any(|tag| tag == etag))
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The quoted parts of a list of tags. A comma may be part of a tag.
fn tags(mut list: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let start = list.find('"')?;
        let end = start + 1 + list[start + 1..].find('"')? + 1;
        let tag = &list[start..end];
        list = &list[end..];
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn having(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (header::IF_NONE_MATCH, v.parse().expect("a value"))).collect()
    }

    #[test]
    fn a_tag_is_strong_and_changes_with_body_and_type() {
        let tag = etag("application/hal+json", b"{}");
        assert_eq!(tag, etag("application/hal+json", b"{}"));
        assert_eq!((tag.len(), tag.starts_with('"'), tag.ends_with('"')), (34, true, true));
        assert_ne!(tag, etag("application/hal+json", b"{ }"));
        assert_ne!(tag, etag("application/json", b"{}"));
        assert_ne!(etag("ab", b"c"), etag("a", b"bc"));
    }

    #[test]
    fn a_known_tag_is_not_modified() {
        for values in [
            &["\"a\""][..],
            &["*"],
            &[" * "],
            &["W/\"a\""],
            &["\"x\", \"a\""],
            &["\"x,y\",W/\"a\",\"z\""],
            &["\"x\"", "\"a\""],
        ] {
            assert!(not_modified(&having(values), "\"a\""), "{values:?}");
        }
        assert!(not_modified(&having(&["\"a\""]), "W/\"a\""));
    }

    #[test]
    fn anything_else_gets_the_representation() {
        for values in [
            &[][..],
            &[""],
            &["a"],
            &["\"a"],
            &["\"b\""],
            &["\"aa\""],
            &["\"x,\"a\",y\""],
            &["\"*\""],
            &["\"b\", *"],
        ] {
            assert!(!not_modified(&having(values), "\"a\""), "{values:?}");
        }
    }
}
