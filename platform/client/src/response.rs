//! A call's answer.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Error, Kind,
    error::{Call, excerpt},
};

/// An answer with a status below 400, complete. Redirects are not followed.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) call: Call,
}

impl Response {
    /// The status: 100 to 399.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header, the first where there are several; none where it is not ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`Kind::Malformed`] where it is not the JSON that `T` wants.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            self.call
                .error(Kind::Malformed, "the answer is not the JSON that this caller reads")
                .with_source(error)
        })
    }

    /// Of which state of the registry it is, where it says so.
    pub(crate) fn index(&self) -> Option<u64> {
        self.header("x-consul-index")?.parse().ok()
    }

    /// Where the resource links to under `rel`, from its HAL `_links`: the first where there are
    /// several. To be called with the client of the service that it names.
    ///
    /// # Errors
    /// [`Kind::Malformed`] where the answer is no HAL, has no such link, or only a template.
    pub fn link(&self, rel: &str) -> Result<String, Error> {
        let missing = |why: String| self.call.error(Kind::Malformed, why);
        let resource: Linked = self.json()?;
        let Some(link) = resource.links.get(rel).and_then(OneOrMany::first) else {
            let known: Vec<_> = resource.links.keys().map(|rel| excerpt(rel)).collect();
            return Err(missing(format!(
                "the answer has no link '{rel}'; it has: {}",
                known.join(", ")
            )));
        };
        if link.templated {
            return Err(missing(format!("its link '{rel}' is a template, no reference")));
        }
        Ok(link.href.clone())
    }

    /// Only seconds, at most an hour: the other form, a date, needs two clocks that agree.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header("retry-after")?.parse().ok()?;
        (seconds <= 3600).then(|| Duration::from_secs(seconds))
    }

    /// An answer of 400 and above is an error that tells what the answer says.
    pub(crate) fn into_result(self) -> Result<Self, Error> {
        if self.status < 400 {
            return Ok(self);
        }
        let told = Told::by(&self);
        let what = match told.text {
            Some(text) => format!("answered {}: {text}", self.status),
            None => format!("answered {}", self.status),
        };
        let error = self.call.error(Kind::Status(self.status), what);
        let error = error.with_code(told.code).with_index(self.index());
        Err(error.with_retry_after(self.retry_after()))
    }
}

/// The links of a HAL document (draft-kelly-json-hal-11, section 5).
#[derive(Deserialize)]
struct Linked {
    #[serde(rename = "_links", default)]
    links: BTreeMap<String, OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Link),
    Many(Vec<Link>),
}

#[derive(Deserialize)]
struct Link {
    href: String,
    #[serde(default)]
    templated: bool,
}

impl OneOrMany {
    fn first(&self) -> Option<&Link> {
        match self {
            Self::One(link) => Some(link),
            Self::Many(links) => links.first(),
        }
    }
}

/// What an answer that is an error tells, bounded.
struct Told {
    text: Option<String>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    r#type: Option<String>,
    title: Option<String>,
    detail: Option<String>,
}

impl Told {
    fn by(answer: &Response) -> Self {
        let media_type = answer.header("content-type").unwrap_or_default();
        if media_type.starts_with("text/plain") {
            let start = String::from_utf8_lossy(&answer.body[..answer.body.len().min(1000)]);
            let text = excerpt(start.trim());
            return Self { text: Some(text).filter(|text| !text.is_empty()), code: None };
        }
        let problem = media_type.contains("json").then(|| serde_json::from_slice(&answer.body));
        let Some(Ok(Problem { r#type, title, detail })) = problem else {
            return Self { text: None, code: None };
        };
        let told: Vec<_> = [title, detail].iter().flatten().map(|text| excerpt(text)).collect();
        let code = r#type.as_deref().and_then(|uri| uri.strip_prefix("urn:backline:error:"));
        Self {
            text: Some(told.join(": ")).filter(|text| !text.is_empty()),
            code: code.map(excerpt),
        }
    }
}
