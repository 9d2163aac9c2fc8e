//! Pages as a browser gets them.

mod scan;

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::json;

use self::scan::{kinds, tags, text};
use super::*;
use crate::{Action, Field};

/// A page with something in every place that takes a value from outside.
fn everywhere(text: &str, href: &str) -> String {
    let part = || {
        Resource::new(href)
            .title(text)
            .field(text, text)
            .field("href", href)
            .link_titled(text, href, text)
            .link(text, href)
    };
    let field = Field::choice(text, ["a", text]).title(text).example(text).value(text);
    let action = |action: Action| {
        action
            .title(text)
            .field(field.clone())
            .field(Field::text(text).title(text).example(text).value(text).required())
            .field(Field::multiline(text).title(text).example(text).value(text))
            .field(Field::flag(text).title(text).value("true"))
    };
    let whole = part()
        .field("nested", json!({ text: [text, href, { text: text }], "href": href }))
        .link("next", href)
        .link("collection", href)
        .link("elsewhere", "https://example.com/")
        .templated(text, format!("{href}{{?{text}}}"))
        .templated(text, format!("/fine{{?{text}}}"))
        .templated(text, text)
        .embed_all(text, [part(), part().embed(text, part())])
        .embed_all("none", [])
        .embed("one", part())
        .action(action(Action::post(text, href)))
        .action(action(Action::post(text, "/fine")))
        .action(Action::delete(text, "/fine"));
    resource(&whole, &Page { service: "catalog".to_owned(), as_of: jiff::Timestamp::UNIX_EPOCH })
}

const HOSTILE: [&str; 7] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</textarea></pre></title></style></script><script>alert(1)</script>",
    "//evil.example/\" autofocus onfocus=\"alert(1)",
    "{{ 7 * 7 }}<!-- &lt;script&gt; ${x} \u{0}\u{202e}",
];

#[test]
fn hostile_values_add_nothing_to_a_page() {
    let wanted = kinds(&everywhere("benign", "/benign"));
    for text in HOSTILE {
        for href in [text, "/benign", "//evil.example/", "java\nscript:alert(1)"] {
            let page = everywhere(text, href);
            let more: Vec<_> = kinds(&page).difference(&wanted).cloned().collect();
            assert!(more.is_empty(), "{text:?} at {href:?} added {more:?}");
        }
    }
}

#[test]
fn hostile_addresses_are_never_followed() {
    for href in
        HOSTILE.into_iter().chain(["//evil.example/", "/\\evil.example/", "data:text/html,x"])
    {
        for tag in tags(&everywhere("benign", href)) {
            for name in ["href", "action", "data-after", "src", "formaction"] {
                let Some(value) = tag.get(name) else { continue };
                let ours = value == "data:," || value.starts_with('#');
                assert!(ours || href::is_clickable(value), "{}={value:?}", name);
                assert!(name == "href" || href::is_local(value), "{}={value:?}", name);
            }
        }
    }
}

#[test]
fn an_action_at_another_place_cannot_be_sent() {
    let page = |href: &str| {
        let action = Action::post("pay", href).field(Field::text("card"));
        let page = Page { service: "a".to_owned(), as_of: jiff::Timestamp::UNIX_EPOCH };
        super::resource(&Resource::new("/a").action(action), &page)
    };
    let sends = |page: &str| tags(page).iter().any(|tag| tag.name == "button");
    assert!(sends(&page("/pay")));
    for href in ["https://evil.example/", "//evil.example/", "pay"] {
        assert!(!sends(&page(href)), "{href}");
    }
}

#[test]
fn a_hostile_problem_does_no_harm() {
    let of = |text: &str, href: &str| {
        problem(
            &Problem::new(StatusCode::CONFLICT, text, text)
                .detail(text)
                .with(text, json!({ text: [text] }))
                .link(text, href),
        )
    };
    let wanted = kinds(&of("benign", "/benign"));
    for text in HOSTILE {
        let page = of(text, text);
        assert!(kinds(&page).is_subset(&wanted), "{text:?}");
        assert!(
            !tags(&page).iter().any(|tag| tag.name == "a" && tag.get("class").is_none()),
            "{text:?}"
        );
    }
}

#[test]
fn the_policy_names_the_hashes_of_what_is_inline() {
    let page = everywhere("benign", "/benign");
    let policy = CONTENT_SECURITY_POLICY.to_str().expect("is text");
    for name in ["style", "script"] {
        let (_, behind) = page.split_once(&format!("<{name}>")).expect("is inline");
        let (text, _) = behind.split_once(&format!("</{name}>")).expect("ends");
        assert!(text.len() > 100, "{name} is empty");
        let hash = base64(&Sha256::digest(text));
        assert!(policy.contains(&format!("{name}-src 'sha256-{hash}'")), "{name}: {policy}");
        assert_eq!(page.matches(&format!("<{name}")).count(), 1, "{name}");
    }
    for rule in [
        "default-src 'none'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.split("; ").any(|known| known == rule), "{rule}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    // Attributes that a policy of hashes would block.
    let blocked = |name: &str| name == "style" || name.starts_with("on");
    assert!(!kinds(&page).iter().any(|(_, attribute)| blocked(attribute)));
}

#[test]
fn base64_is_that_of_the_standard() {
    for (bytes, text) in
        [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
    {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
    assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
}

fn album() -> Resource {
    Resource::new("/catalog/albums/7?full=1")
        .title("Give Blood")
        .field("year", 2005)
        .link_titled("artist", "/catalog/artists/3", "Brakes")
        .link("next", "/catalog/albums/8")
        .link("prev", "/catalog/albums/6")
        .link_titled("collection", "/catalog/albums", "All albums")
        .templated("search", "/catalog/search{?q}")
        .templated("track", "/catalog/tracks/{id}")
        .embed_all(
            "tracks",
            [("Ring a Ding Ding", 159_506), ("All Night Disco Party", 200_000)].map(
                |(title, length)| {
                    Resource::new("/catalog/tracks/1")
                        .title(title)
                        .field("title", title)
                        .field("length_ms", length)
                        .link("album", "/catalog/albums/7")
                },
            ),
        )
        .action(
            Action::post("rate", "/catalog/albums/7/rate").field(Field::number("stars").required()),
        )
        .action(Action::delete("remove", "/catalog/albums/7").title("Remove it"))
}

fn album_page() -> String {
    let as_of = "2026-11-02T08:30:00Z".parse().expect("a moment");
    resource(&album(), &Page { service: "catalog".to_owned(), as_of })
}

#[test]
fn a_page_says_what_it_is_where_it_is_and_how_old_it_is() {
    let page = album_page();
    assert!(page.contains("<title>Give Blood · catalog</title>"));
    assert!(page.contains("<h1>Give Blood</h1>"));
    assert!(page.contains(r#"<a class="service" href="/catalog">catalog</a>"#));
    assert!(page.contains(r#"<a href="/catalog/albums/7">7</a>"#));
    assert!(page.contains(r#"<li aria-current="page">full=1</li>"#));
    let as_of =
        "<time datetime=\"2026-11-02T08:30:00Z\">2\u{a0}Nov\u{a0}2026, 08:30:00\u{a0}UTC</time>";
    assert!(page.contains(as_of));
    assert!(text(&page).contains("\nYear\n2005\n"));
}

#[test]
fn links_are_listed_with_their_relation_and_title() {
    let text = text(&album_page());
    assert!(text.contains("\nartist\nBrakes\n/catalog/artists/3\n"), "{text}");
    assert!(text.contains("\ntrack\n/catalog/tracks/{id}\n"), "{text}");
    assert!(text.contains("\nPrev\nNext\n"), "{text}");
    assert!(!text.contains("\nself\n"), "{text}");
    let template =
        tags(&album_page()).into_iter().find(|tag| tag.get("href") == Some("/catalog/tracks/{id}"));
    assert!(template.is_none(), "a template is not followed");
}

#[test]
fn a_templated_query_is_a_form() {
    let tags = tags(&album_page());
    let form = tags.iter().find(|tag| tag.get("method") == Some("get")).expect("a form");
    assert_eq!(form.get("action"), Some("/catalog/search"));
    let input = tags.iter().find(|tag| tag.get("type") == Some("search")).expect("an input");
    assert_eq!(input.get("name"), Some("q"));
}

#[test]
fn a_collection_is_a_table_without_what_repeats() {
    let text = text(&album_page());
    assert!(text.contains("\nTracks\n2\nTitle\nLength\nRing a Ding Ding\n2:39\n"), "{text}");
    assert!(!text.contains("\nalbum\n"), "a link back to this page");
}

#[test]
fn an_action_is_a_form_with_labels() {
    let tags = tags(&album_page());
    let form = |method: &str| {
        tags.iter().find(|tag| tag.get("data-method") == Some(method)).expect("a form")
    };
    assert_eq!(form("POST").get("data-href"), Some("/catalog/albums/7/rate"));
    assert_eq!(form("POST").get("data-after"), None);
    assert_eq!(form("DELETE").get("data-after"), Some("/catalog/albums"));
    let input = tags.iter().find(|tag| tag.get("name") == Some("stars")).expect("an input");
    assert_eq!((input.get("data-kind"), input.get("required")), (Some("number"), Some("")));
    let text = text(&album_page());
    assert!(text.contains("\nRate\nPOST\n/catalog/albums/7/rate\nStars\nRate\n"), "{text}");
    assert!(text.contains("\nRemove it\nDELETE\n/catalog/albums/7\nRemove it\n"), "{text}");
}

#[test]
fn every_control_has_a_label_and_every_id_is_unique() {
    let tags = tags(&everywhere("benign", "/benign"));
    let mut ids = BTreeSet::new();
    for id in tags.iter().filter_map(|tag| tag.get("id")) {
        assert!(ids.insert(id), "{id} is there twice");
    }
    let labelled: BTreeSet<_> = tags.iter().filter_map(|tag| tag.get("for")).collect();
    let controls = tags.iter().filter(|tag| matches!(&*tag.name, "input" | "select" | "textarea"));
    let mut seen = 0;
    for control in controls.filter(|tag| tag.get("type") != Some("hidden")) {
        assert!(labelled.contains(control.get("id").expect("an id")), "{control:?}");
        seen += 1;
    }
    assert!(seen >= 5);
    for name in ["aria-labelledby", "aria-describedby"] {
        for id in tags.iter().filter_map(|tag| tag.get(name)) {
            assert!(ids.contains(id), "{name} names {id}, which is not there");
        }
    }
}

#[test]
fn the_page_has_the_hal_that_programs_get() {
    let page = album_page();
    let raw =
        page.split_once("<code>{").expect("is there").1.split_once("</code>").expect("ends").0;
    let raw = format!("{{{raw}").replace("&#34;", "\"");
    let wanted = crate::hal::resource(&album()).to_pretty_text();
    assert_eq!(raw, wanted);
}

#[test]
fn an_empty_collection_says_so() {
    let page = Page { service: "customers".to_owned(), as_of: jiff::Timestamp::UNIX_EPOCH };
    let page = resource(&Resource::new("/customers").embed_all("customers", []), &page);
    assert!(text(&page).contains("\nCustomers\n0\nNothing here.\n"));
    assert!(!page.contains("<table"));
    assert!(page.contains("<h1>/customers</h1>"), "without a title it is called by its reference");
}

#[test]
fn an_embedded_resource_is_a_card_that_counts_what_it_has_itself() {
    let artist = Resource::new("/artists/3")
        .title("Brakes")
        .field("origin", "Brighton")
        .link("site", "https://brakes.example/")
        .embed_all("albums", [Resource::new("/albums/7"), Resource::new("/albums/8")]);
    let page = Page { service: "catalog".to_owned(), as_of: jiff::Timestamp::UNIX_EPOCH };
    let page = resource(&Resource::new("/albums/7").embed("artist", artist), &page);
    assert!(page.contains(r#"<h3><a href="/artists/3">Brakes</a></h3>"#));
    let text = text(&page);
    assert!(
        text.contains("\nOrigin\nBrighton\nAlbums\n2\nsite\nhttps://brakes.example/\n"),
        "{text}"
    );
}

#[test]
fn rows_may_differ_in_their_fields() {
    let row = |href: &str| Resource::new(href);
    let rows = [
        row("/1").field("a", 1).field("c", "x"),
        row("/2").field("b", "y").field("a", serde_json::Value::Null),
        row("/3").field("a", "text").field("b", "z"),
    ];
    let page = Page { service: "catalog".to_owned(), as_of: jiff::Timestamp::UNIX_EPOCH };
    let page = resource(&Resource::new("/rows").embed_all("rows", rows), &page);
    let cells = tags(&page).iter().filter(|tag| tag.name == "td").count();
    assert_eq!(cells, 9);
    let shown = text(&page);
    assert!(shown.contains("\nRows\nA\nC\nB\n/1\n1\nx\n/2\n—\ny\n/3\ntext\nz\n"), "{shown}");
    assert!(!page.contains(r#"class="right""#), "a column with a text in it is not one of numbers");
}

#[test]
fn a_column_of_numbers_may_have_gaps() {
    let rows = [
        Resource::new("/1").field("a", 1).field("b", "x"),
        Resource::new("/2").field("a", serde_json::Value::Null),
        Resource::new("/3"),
    ];
    let page = Page { service: "catalog".to_owned(), as_of: jiff::Timestamp::UNIX_EPOCH };
    let page = resource(&Resource::new("/rows").embed_all("rows", rows), &page);
    let right = tags(&page).into_iter().filter(|tag| tag.get("class") == Some("right"));
    let labels: Vec<_> = right.filter_map(|tag| tag.get("data-label").map(str::to_owned)).collect();
    assert_eq!(labels, ["A", "A", "A"]);
}

#[test]
fn a_column_is_left_out_only_when_it_repeats_every_title() {
    let row = |title: &str| Resource::new("/1").title(title).field("name", "Ada");
    let page = Page { service: "catalog".to_owned(), as_of: jiff::Timestamp::UNIX_EPOCH };
    let shown = |titles: [&str; 2]| {
        text(&resource(&Resource::new("/rows").embed_all("rows", titles.map(row)), &page))
    };
    assert!(shown(["Ada", "Ada"]).contains("\nName\nAda\nAda\n"));
    assert!(shown(["Ada", "Bob"]).contains("\nRows\nName\nAda\nAda\nBob\nAda\n"));
}

#[test]
fn a_form_is_filled_in_from_the_pages_own_query_and_nothing_more() {
    let here = "/search?q=%22%3E%3Cscript%3E&page=2";
    let page = Page { service: "catalog".to_owned(), as_of: jiff::Timestamp::UNIX_EPOCH };
    let page = resource(&Resource::new(here).templated("search", "/search?kind=a%22b{&q}"), &page);
    let value = |name: &str| {
        let found = tags(&page).into_iter().find(|tag| tag.get("name") == Some(name));
        found.and_then(|tag| tag.get("value").map(str::to_owned))
    };
    assert_eq!(value("q").as_deref(), Some("&#34;&#62;&#60;script&#62;"));
    assert_eq!(value("kind").as_deref(), Some("a&#34;b"));
    assert_eq!(value("page"), None);
}

#[test]
fn a_problem_says_what_is_wrong_and_where_to_go_on() {
    let page = problem(
        &Problem::new(StatusCode::CONFLICT, "illegal-transition", "Not now")
            .detail("It is closed.")
            .with("trace_id", "4bf92f35")
            .link("reinstate", "/customers/7/reinstate"),
    );
    assert!(page.contains("<title>409 · Not now</title>"));
    let text = text(&page);
    let wanted =
        "409\nConflict\nNot now\nIt is closed.\nCode\nillegal-transition\nTrace id\n4bf92f35\n";
    assert!(text.contains(wanted), "{text}");
    assert!(page.contains(r#"<a href="/customers/7/reinstate">"#));
}
