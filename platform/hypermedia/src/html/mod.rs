//! A page for people: every field legible, every link to follow, every action to carry out.
//!
//! The page is whole in itself. Its one style and one script are inline, and the policy that goes
//! with it names their hashes: nothing else runs, loads or connects anywhere, whatever a value holds.

mod href;
mod shown;
mod view;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use askama::{Template, filters::Safe};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use self::{
    href::Crumb,
    shown::{Member, members, moment_text},
    view::{Form, Links, Listed, Section},
};
use crate::{Page, Problem, Resource};

const STYLE: &str = include_str!("../../templates/page.css");
const SCRIPT: &str = include_str!("../../templates/page.js");

/// The value of `Content-Security-Policy` for every page.
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        base64(&Sha256::digest(STYLE)),
        base64(&Sha256::digest(SCRIPT)),
    );
    HeaderValue::try_from(policy)
        .unwrap_or_else(|error| unreachable!("the policy is a header's value: {error}"))
});

/// The page of a resource.
pub(crate) fn resource(resource: &Resource, page: &Page) -> String {
    let here = resource.self_href();
    let links = Links::of(&resource.links, here);
    let forms = Form::all(resource);
    written(&ResourcePage {
        title: resource.title.as_deref().or(here).unwrap_or(&page.service),
        service: &page.service,
        crumbs: here.map(href::crumbs).unwrap_or_default(),
        as_of: moment_text(page.as_of),
        as_of_exact: page.as_of.to_string(),
        members: members(&resource.fields),
        sections: Section::all(resource),
        has_aside: !(links.others.is_empty() && links.searches.is_empty() && forms.is_empty()),
        links,
        forms,
        raw: view::raw(resource),
    })
}

/// The page of a problem.
pub(crate) fn problem(problem: &Problem) -> String {
    written(&ProblemPage {
        status: problem.status.as_u16(),
        reason: problem.status.canonical_reason().unwrap_or_default(),
        title: &problem.title,
        detail: problem.detail.as_deref(),
        members: view::problem_members(problem),
        links: view::listed(&problem.links),
    })
}

/// Nothing can fail in memory.
fn written(page: &impl Template) -> String {
    page.render().unwrap_or_else(|error| unreachable!("a page could not be written: {error}"))
}

#[derive(Template)]
#[template(path = "resource.html")]
struct ResourcePage<'a> {
    title: &'a str,
    service: &'a str,
    crumbs: Vec<Crumb>,
    as_of: String,
    as_of_exact: String,
    members: Vec<Member>,
    sections: Vec<Section>,
    links: Links,
    has_aside: bool,
    forms: Vec<Form>,
    raw: String,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    status: u16,
    reason: &'static str,
    title: &'a str,
    detail: Option<&'a str>,
    members: Vec<Member>,
    links: Vec<Listed>,
}

/// What stands in every page as it is: constants of this crate, nothing that came from outside.
trait Inline {
    const STYLE: Safe<&'static str> = Safe(STYLE);
    const SCRIPT: Safe<&'static str> = Safe(SCRIPT);
}

impl Inline for ResourcePage<'_> {}
impl Inline for ProblemPage<'_> {}

/// Standard base64 (RFC 4648, 4), which a policy's hashes are written in.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for position in 0..4 {
            if position <= chunk.len() {
                let sextet = group >> (18 - 6 * position) & 63;
                text.push(char::from(ALPHABET[sextet as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
