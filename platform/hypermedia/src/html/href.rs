//! References as a page may use them. What is here decides what a click can do.

use crate::resource::Link;

/// An absolute-path reference of this origin: `/customers/7`.
///
/// Browsers read `//host`, `/\host` and, since they drop tabs and line ends, `/<tab>/host` as
/// another host's address: none of them counts.
pub(crate) fn is_local(href: &str) -> bool {
    is_plain(href) && href.starts_with('/') && !href.starts_with("//")
}

/// Something that may become a link: local, or with the scheme `http` or `https`.
pub(crate) fn is_clickable(href: &str) -> bool {
    let has_scheme = |scheme: &str| {
        href.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && href.len() > scheme.len()
    };
    is_local(href) || (is_plain(href) && (has_scheme("http://") || has_scheme("https://")))
}

/// Whether a browser takes it as it stands: nothing that it drops or turns into a slash.
fn is_plain(href: &str) -> bool {
    !href.chars().any(|char| char.is_control() || char.is_whitespace() || char == '\\')
}

/// A step of the way from the service's root to a resource.
#[derive(Debug, PartialEq)]
pub(crate) struct Crumb {
    pub text: String,
    /// Absent for the resource itself.
    pub href: Option<String>,
}

/// The way to a resource: each segment of its path, and its query as a last step.
pub(crate) fn crumbs(href: &str) -> Vec<Crumb> {
    if !is_local(href) {
        return Vec::new();
    }
    let (path, query) = href.split_once('?').unwrap_or((href, ""));
    let mut way = String::new();
    let mut crumbs = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        way.push('/');
        way.push_str(segment);
        crumbs.push(Crumb { text: segment.to_owned(), href: Some(way.clone()) });
    }
    if !query.is_empty() {
        crumbs.push(Crumb { text: query.to_owned(), href: None });
    }
    if let Some(last) = crumbs.last_mut() {
        last.href = None;
    }
    crumbs
}

/// The path without its query.
pub(crate) fn path(href: &str) -> &str {
    href.split('?').next().unwrap_or(href)
}

/// A templated link that a GET form can expand.
#[derive(Debug, PartialEq)]
pub(crate) struct Search {
    pub action: String,
    /// What the query has besides the variables.
    pub fixed: Vec<(String, String)>,
    /// The variables, with their present values.
    pub variables: Vec<(String, String)>,
}

/// The form for a URI Template whose only expression is `{?..}` or `{&..}` at its end. `here` is
/// the page's own reference: its query fills the form in.
pub(crate) fn search(link: &Link, here: Option<&str>) -> Option<Search> {
    let (base, expression) = link.href.strip_suffix('}')?.split_once('{')?;
    let names = expression.strip_prefix(['?', '&'])?;
    if !link.templated || !is_local(base) || names.contains(['{', '}']) {
        return None;
    }
    let here = here.filter(|here| path(here) == path(base)).map(query).unwrap_or_default();
    let mut variables = Vec::new();
    for name in names.split(',') {
        let name = name.split(['*', ':']).next().filter(|name| !name.is_empty())?;
        let value = here.iter().find_map(|(known, value)| (known == name).then(|| value.clone()));
        variables.push((name.to_owned(), value.unwrap_or_default()));
    }
    Some(Search { action: path(base).to_owned(), fixed: query(base), variables })
}

fn query(href: &str) -> Vec<(String, String)> {
    let query = href.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELSEWHERE: [&str; 10] = [
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example/",
        "/\n/evil.example/",
        "\\\\evil.example",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " /customers",
        "data:text/html,<script>alert(1)</script>",
        "",
    ];

    #[test]
    fn only_paths_of_this_origin_are_local() {
        for href in ["/", "/customers/7", "/a?b=c&d=//e", "/a//b"] {
            assert!(is_local(href), "{href}");
        }
        for href in ELSEWHERE.iter().chain(&["https://example.com/", "customers", "?q=1", "#a"]) {
            assert!(!is_local(href), "{href:?}");
        }
    }

    #[test]
    fn only_paths_and_http_are_clickable() {
        for href in ["/customers/7", "https://example.com/a", "http://example.com", "HTTPS://a"] {
            assert!(is_clickable(href), "{href}");
        }
        let more = [
            "https://",
            "https://a b",
            "http:\t//a",
            "https://a\\@b",
            "https://a\0",
            "mailto:a@b",
            "ftp://a",
        ];
        for href in ELSEWHERE.iter().chain(&more) {
            assert!(!is_clickable(href), "{href:?}");
        }
    }

    fn shown(href: &str) -> Vec<(String, Option<String>)> {
        crumbs(href).into_iter().map(|crumb| (crumb.text, crumb.href)).collect()
    }

    #[test]
    fn the_way_to_a_resource_ends_with_itself() {
        let step = |text: &str, href: Option<&str>| (text.to_owned(), href.map(str::to_owned));
        assert_eq!(
            shown("/catalog/albums/7"),
            [
                step("catalog", Some("/catalog")),
                step("albums", Some("/catalog/albums")),
                step("7", None)
            ]
        );
        assert_eq!(
            shown("/customers?page=2"),
            [step("customers", Some("/customers")), step("page=2", None)]
        );
        assert_eq!((shown("/"), shown("//evil.example/a")), (vec![], vec![]));
    }

    fn template(href: &str) -> Link {
        Link { rel: "search".to_owned(), href: href.to_owned(), templated: true, title: None }
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_of_the_query_make_a_form() {
        let form = search(&template("/catalog/search{?q,kind*,from:4}"), None).expect("a form");
        assert_eq!((&*form.action, form.fixed), ("/catalog/search", vec![]));
        assert_eq!(form.variables, pairs(&[("q", ""), ("kind", ""), ("from", "")]));
        let form = search(&template("/a?b=c%20d{&e}"), Some("/a?e=f+g&b=x")).expect("a form");
        assert_eq!((&*form.action, form.fixed), ("/a", pairs(&[("b", "c d")])));
        assert_eq!(form.variables, pairs(&[("e", "f g")]));
    }

    #[test]
    fn another_pages_query_fills_nothing_in() {
        let form = search(&template("/a{?e}"), Some("/b?e=f")).expect("a form");
        assert_eq!(form.variables, pairs(&[("e", "")]));
    }

    #[test]
    fn other_templates_make_no_form() {
        for href in [
            "/a/{id}",
            "/a{/id}",
            "/{a}{?b}",
            "/a{?b}{&c}",
            "/a{?b}/c",
            "/a{?}",
            "/a{?b,}",
            "/a",
            "//evil.example{?a}",
            "https://example.com/{?a}",
            "/a{?b",
            "/a{#b}",
        ] {
            assert_eq!(search(&template(href), None), None, "{href}");
        }
        let plain = Link { templated: false, ..template("/a{?b}") };
        assert_eq!(search(&plain, None), None);
    }
}
