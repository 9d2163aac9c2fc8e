//! What a page shows of a resource, worked out before a template sees it.

use super::{
    href::{self, Search},
    shown::{Member, Shown, label, members},
};
use crate::{
    Action, Field, Problem, Resource,
    action::{Kind, Method},
    hal,
    resource::{Embedded, Link},
};

/// Relations between the pages of a collection, in the order of reading.
const PAGER: [&str; 5] = ["first", "prev", "previous", "next", "last"];

/// A link as it is listed.
pub(crate) struct Listed {
    pub rel: String,
    pub text: String,
    pub href: String,
    pub clickable: bool,
    /// The address is not the text, and is shown as well.
    pub titled: bool,
}

impl Listed {
    fn of(link: &Link) -> Self {
        Self {
            rel: link.rel.clone(),
            text: link.title.clone().unwrap_or_else(|| link.href.clone()),
            href: link.href.clone(),
            clickable: !link.templated && href::is_clickable(&link.href),
            titled: link.title.is_some(),
        }
    }
}

/// A templated link as a form.
pub(crate) struct Lookup {
    /// Unique on the page.
    pub id: String,
    pub title: String,
    pub search: Search,
}

/// The links of a page: to its neighbours, to look things up, and the others.
#[derive(Default)]
pub(crate) struct Links {
    pub pager: Vec<Listed>,
    pub searches: Vec<Lookup>,
    pub others: Vec<Listed>,
}

impl Links {
    pub fn of(links: &[Link], here: Option<&str>) -> Self {
        let mut made = Self::default();
        for link in links.iter().filter(|link| link.rel != "self") {
            let listed = Listed::of(link);
            if let Some(search) = href::search(link, here) {
                let title = link.title.clone().unwrap_or_else(|| label(&link.rel));
                let id = format!("search-{}", made.searches.len());
                made.searches.push(Lookup { id, title, search });
            } else if PAGER.contains(&&*link.rel) && listed.clickable {
                made.pager.push(Listed { text: label(&link.rel), ..listed });
            } else {
                made.others.push(listed);
            }
        }
        made.pager.sort_by_key(|link| PAGER.iter().position(|rel| *rel == link.rel));
        made
    }
}

/// An embedded resource or collection.
pub(crate) enum Section {
    Table { title: String, count: usize, table: Table },
    Cards { title: String, cards: Vec<Card> },
}

impl Section {
    fn of(embedded: &Embedded, here: Option<&str>) -> Self {
        let title = label(&embedded.rel);
        let resources = &embedded.resources;
        if embedded.many {
            let table = Table::of(&title, resources, here);
            Self::Table { title, count: resources.len(), table }
        } else {
            Self::Cards {
                title,
                cards: resources.iter().map(|each| Card::of(each, here)).collect(),
            }
        }
    }

    pub fn all(of: &Resource) -> Vec<Self> {
        of.embedded.iter().map(|embedded| Self::of(embedded, of.self_href())).collect()
    }
}

pub(crate) struct Card {
    pub name: Name,
    pub members: Vec<Member>,
    pub links: Vec<Listed>,
}

impl Card {
    fn of(resource: &Resource, here: Option<&str>) -> Self {
        let mut members = members(&resource.fields);
        members.extend(counts(resource));
        Self { name: Name::of(resource), members, links: other_links(resource, here) }
    }
}

/// What an embedded resource is called, and where it is.
pub(crate) struct Name {
    pub text: String,
    pub href: Option<String>,
}

impl Name {
    fn of(resource: &Resource) -> Self {
        let href = resource.self_href();
        let text = resource.title.as_deref().or(href).unwrap_or("—").to_owned();
        Self { text, href: href.filter(|href| href::is_clickable(href)).map(ToOwned::to_owned) }
    }
}

/// What it has embedded itself is for its own page; here the number says enough.
fn counts(resource: &Resource) -> impl Iterator<Item = Member> {
    resource.embedded.iter().map(|embedded| Member {
        label: label(&embedded.rel),
        shown: Shown::Number(embedded.resources.len().to_string()),
    })
}

/// Its links without those that lead to itself or back to this page.
fn other_links(resource: &Resource, here: Option<&str>) -> Vec<Listed> {
    let leads_here =
        |link: &Link| here.is_some_and(|here| href::path(here) == href::path(&link.href));
    resource
        .links
        .iter()
        .filter(|link| link.rel != "self" && !leads_here(link))
        .map(Listed::of)
        .collect()
}

/// A collection, a resource in each row.
pub(crate) struct Table {
    /// The header of the column with the names.
    pub names: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    pub has_links: bool,
}

pub(crate) struct Column {
    pub label: String,
    pub number: bool,
}

pub(crate) struct Row {
    pub name: Name,
    /// One for each column; absent where the resource has no such field.
    pub cells: Vec<Option<Shown>>,
    pub links: Vec<Listed>,
}

impl Table {
    fn of(title: &str, resources: &[Resource], here: Option<&str>) -> Self {
        let named = named_by(resources);
        let mut rows: Vec<Vec<Member>> = resources
            .iter()
            .map(|resource| {
                let mut cells = members(&resource.fields);
                cells.extend(counts(resource));
                cells
            })
            .collect();
        let names = named.as_deref().map(label);
        let mut columns: Vec<Column> = Vec::new();
        for member in rows.iter().flatten().filter(|member| Some(&member.label) != names.as_ref()) {
            let number = member.shown.is_number();
            match columns.iter_mut().find(|column| column.label == member.label) {
                Some(column) => column.number &= number || member.shown == Shown::Nothing,
                None => columns.push(Column { label: member.label.clone(), number }),
            }
        }
        let rows: Vec<Row> = resources
            .iter()
            .zip(&mut rows)
            .map(|(resource, cells)| Row {
                name: Name::of(resource),
                cells: columns.iter().map(|column| take(cells, &column.label)).collect(),
                links: other_links(resource, here),
            })
            .collect();
        let has_links = rows.iter().any(|row| !row.links.is_empty());
        Self { names: names.unwrap_or_else(|| title.to_owned()), columns, rows, has_links }
    }
}

fn take(cells: &mut Vec<Member>, label: &str) -> Option<Shown> {
    let at = cells.iter().position(|cell| cell.label == label)?;
    Some(cells.swap_remove(at).shown)
}

/// The field that all resources have as their title, so that no column repeats it.
fn named_by(resources: &[Resource]) -> Option<String> {
    let is_title = |resource: &Resource, name: &str| match resource.fields.get(name) {
        Some(crate::value::Value::String(text)) => Some(text) == resource.title.as_ref(),
        _ => false,
    };
    let first = resources.first()?;
    let mut names = first.fields.iter().map(|(name, _)| name);
    names.find(|name| resources.iter().all(|each| is_title(each, name))).map(ToOwned::to_owned)
}

/// An action as a form.
pub(crate) struct Form {
    /// Unique on the page.
    pub id: String,
    pub title: String,
    pub method: &'static str,
    pub href: String,
    /// Whether it can be carried out from here: never at another origin.
    pub local: bool,
    /// Where to go when the resource is gone.
    pub after: Option<String>,
    pub inputs: Vec<Input>,
    pub removes: bool,
}

pub(crate) struct Input {
    /// Unique on the page.
    pub id: String,
    pub name: String,
    pub label: String,
    pub kind: &'static str,
    pub required: bool,
    pub example: String,
    pub value: String,
    pub choices: Vec<String>,
}

impl Form {
    pub fn all(of: &Resource) -> Vec<Self> {
        let gone = ["collection", "up"].into_iter().find_map(|rel| of.href_of(rel));
        let after = gone.filter(|href| href::is_local(href));
        let numbered = of.actions.iter().enumerate();
        numbered.map(|(number, action)| Self::of(action, number, after)).collect()
    }

    fn of(action: &Action, number: usize, after: Option<&str>) -> Self {
        let id = format!("action-{number}");
        let input = |(at, field)| Input::of(format!("{id}-{at}"), field);
        let removes = action.method == Method::Delete;
        Self {
            title: action.title.clone().unwrap_or_else(|| label(&action.name)),
            method: action.method.as_str(),
            href: action.href.clone(),
            local: href::is_local(&action.href),
            after: after.filter(|_| removes).map(ToOwned::to_owned),
            inputs: action.fields.iter().enumerate().map(input).collect(),
            removes,
            id,
        }
    }
}

impl Input {
    fn of(id: String, field: &Field) -> Self {
        Self {
            id,
            name: field.name.clone(),
            label: field.title.clone().unwrap_or_else(|| label(&field.name)),
            kind: match field.kind {
                Kind::Text => "text",
                Kind::Multiline => "multiline",
                Kind::Number => "number",
                Kind::Email => "email",
                Kind::Flag => "flag",
                Kind::Choice => "choice",
            },
            required: field.required,
            example: field.example.clone().unwrap_or_default(),
            value: field.value.clone().unwrap_or_default(),
            choices: field.choices.clone(),
        }
    }
}

/// What a page shows of a problem besides its title and detail.
pub(crate) fn problem_members(problem: &Problem) -> Vec<Member> {
    let mut shown =
        vec![Member { label: "Code".to_owned(), shown: Shown::Text(problem.code.to_string()) }];
    shown.extend(members(&problem.extensions));
    shown
}

/// Links one under the other.
pub(crate) fn listed(links: &[Link]) -> Vec<Listed> {
    links.iter().map(Listed::of).collect()
}

/// The resource's HAL for people to read.
pub(crate) fn raw(resource: &Resource) -> String {
    hal::resource(resource).to_pretty_text()
}
