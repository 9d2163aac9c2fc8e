use axum::{extract::FromRequestParts, http::request::Parts};
use backline_hypermedia::{Problem, Resource};
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{Fault, Query};

/// Which page of a collection a request asks for.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// The page, from 1. Fifty resources are on a page.
    #[param(minimum = 1, default = 1)]
    page: Option<i64>,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let Query(paging) = Query::<Self>::from_request_parts(parts, state).await?;
        match paging.page {
            Some(page) if !(1..=Self::LAST).contains(&page) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid-query",
                "The query is not valid",
            )
            .detail(format!("page is {page}: give 1 to {}", Self::LAST))
            .into()),
            _ => Ok(paging),
        }
    }
}

impl Paging {
    /// Resources on a page.
    pub const SIZE: i64 = 50;
    /// The highest number of a page that can be asked for.
    const LAST: i64 = 1_000_000_000;

    fn number(self) -> i64 {
        self.page.unwrap_or(1)
    }

    /// How many resources lie before this page.
    #[must_use]
    pub fn offset(self) -> i64 {
        (self.number() - 1) * Self::SIZE
    }

    /// A collection's reference with the filters that are set.
    #[must_use]
    pub fn filtered(path: &str, filters: &[(&str, Option<&str>)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// This page of a collection: `total`, the page's resources under `rel`, links to its
    /// neighbours. `href` is the collection's reference, with its filter if it has one.
    #[must_use]
    pub fn collection(
        self,
        href: &str,
        rel: &str,
        total: i64,
        items: impl IntoIterator<Item = Resource>,
    ) -> Resource {
        let page = self.number();
        let at = |page: i64| match (page, href.contains('?')) {
            (1, _) => href.to_owned(),
            (_, true) => format!("{href}&page={page}"),
            (_, false) => format!("{href}?page={page}"),
        };
        let mut resource = Resource::new(at(page)).field("total", total).embed_all(rel, items);
        if page > 1 {
            resource = resource.link("prev", at(page - 1));
        }
        if page * Self::SIZE < total {
            resource = resource.link("next", at(page + 1));
        }
        resource
    }
}
