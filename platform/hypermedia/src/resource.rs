use serde::{Deserialize, Serialize};

use crate::{
    Action,
    value::{Object, Value},
};

/// A resource, apart from any format: fields, links, embedded resources, actions.
///
/// ```
/// use backline_hypermedia::{Action, Field, Resource};
///
/// let album = Resource::new("/catalog/albums/7")
///     .title("Give Blood")
///     .field("year", 2005)
///     .link_titled("artist", "/catalog/artists/3", "Brakes")
///     .action(Action::post("rate", "/catalog/albums/7/rate").field(Field::number("stars")));
/// assert_eq!(album.self_href(), Some("/catalog/albums/7"));
/// ```
///
/// It can be stored with serde and `serde_json`, and what was stored stays readable: answers under
/// an `Idempotency-Key` lie in databases. Members may be added, with a default; none is renamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub(crate) fields: Object,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<Link>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) embedded: Vec<Embedded>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) actions: Vec<Action>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub rel: String,
    pub href: String,
    /// `href` is a URI Template (RFC 6570).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub templated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// The resources that are embedded under one relation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Embedded {
    pub rel: String,
    /// A collection, however many it has at present.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub many: bool,
    pub resources: Vec<Resource>,
}

/// Names that HAL keeps for itself.
const RESERVED: [&str; 3] = ["_links", "_embedded", "_templates"];

impl Resource {
    /// A resource with its `self` link, an absolute-path reference: `/customers/7`.
    #[must_use]
    pub fn new(href: impl Into<String>) -> Self {
        let resource = Self {
            title: None,
            fields: Object::default(),
            links: Vec::new(),
            embedded: Vec::new(),
            actions: Vec::new(),
        };
        resource.link("self", href)
    }

    /// What people call it. In JSON it is the title of the `self` link, so that a field may be
    /// called `title` as well.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds a field, or sets it anew. Fields appear in the order in which they were first set; one
    /// with a name that HAL keeps for itself (`_links`, `_embedded`, `_templates`) is left out.
    ///
    /// # Panics
    /// When the value has no JSON form, such as a map with keys that are not strings.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        let value = Value::of(&value)
            .unwrap_or_else(|error| panic!("the field '{name}' has no JSON form: {error}"));
        self.set(name, value);
        self
    }

    /// Adds the members of a struct or map as fields, in their order; see [`field`](Self::field).
    ///
    /// # Panics
    /// When the value's JSON form is not an object.
    #[must_use]
    pub fn fields(mut self, fields: &(impl Serialize + ?Sized)) -> Self {
        match Value::of(fields) {
            Ok(Value::Object(object)) => {
                object.into_iter().for_each(|(name, value)| self.set(name, value));
            }
            Ok(other) => panic!("fields are taken from an object, and this is {}", other.to_text()),
            Err(error) => panic!("these fields have no JSON form: {error}"),
        }
        self
    }

    fn set(&mut self, name: String, value: Value) {
        if !RESERVED.contains(&name.as_str()) {
            self.fields.set(name, value);
        }
    }

    /// Adds a link. Several may share a relation; in JSON they become an array.
    #[must_use]
    pub fn link(self, rel: impl Into<String>, href: impl Into<String>) -> Self {
        self.with_link(rel.into(), href.into(), false, None)
    }

    /// Adds a link with a title for people.
    #[must_use]
    pub fn link_titled(
        self,
        rel: impl Into<String>,
        href: impl Into<String>,
        title: impl Into<String>,
    ) -> Self {
        self.with_link(rel.into(), href.into(), false, Some(title.into()))
    }

    /// Adds a link with variables (RFC 6570): `/catalog/search{?q}`. On the page, one whose
    /// variables are all in its query is a form.
    #[must_use]
    pub fn templated(self, rel: impl Into<String>, uri_template: impl Into<String>) -> Self {
        self.with_link(rel.into(), uri_template.into(), true, None)
    }

    fn with_link(
        mut self,
        rel: String,
        href: String,
        templated: bool,
        title: Option<String>,
    ) -> Self {
        self.links.push(Link { rel, href, templated, title });
        self
    }

    /// Embeds one resource. Several under one relation become an array in JSON.
    #[must_use]
    pub fn embed(self, rel: impl Into<String>, resource: Self) -> Self {
        self.with_embedded(rel.into(), false, [resource])
    }

    /// Embeds a collection: an array in JSON also when it has one resource or none.
    #[must_use]
    pub fn embed_all(
        self,
        rel: impl Into<String>,
        resources: impl IntoIterator<Item = Self>,
    ) -> Self {
        self.with_embedded(rel.into(), true, resources)
    }

    fn with_embedded(
        mut self,
        rel: String,
        many: bool,
        resources: impl IntoIterator<Item = Self>,
    ) -> Self {
        if let Some(known) = self.embedded.iter_mut().find(|embedded| embedded.rel == rel) {
            known.resources.extend(resources);
            known.many |= many;
        } else {
            self.embedded.push(Embedded { rel, many, resources: resources.into_iter().collect() });
        }
        self
    }

    /// Adds something that the caller may do next.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Where the resource lives.
    #[must_use]
    pub fn self_href(&self) -> Option<&str> {
        self.href_of("self")
    }

    /// The first link of a relation that is not a template.
    pub(crate) fn href_of(&self, rel: &str) -> Option<&str> {
        self.links
            .iter()
            .find_map(|link| (link.rel == rel && !link.templated).then_some(link.href.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Serializer;

    use super::*;
    use crate::Field;

    fn everything() -> Resource {
        #[derive(Serialize)]
        struct Fields<'a> {
            year: i32,
            artist: &'a str,
            exact: u128,
        }
        let track = Resource::new("/tracks/1").field("length_ms", 6_000);
        Resource::new("/albums/7")
            .title("Give Blood")
            .fields(&Fields { year: 2005, artist: "Brakes", exact: u128::MAX })
            .link_titled("artist", "/artists/3", "Brakes")
            .templated("search", "/search{?q}")
            .embed_all("tracks", [track.clone()])
            .embed("first", track)
            .action(Action::put("replace", "/albums/7").title("Replace").field(
                Field::choice("mood", ["calm"]).title("Mood").required().example("x").value("y"),
            ))
    }

    /// What lies in the databases of services. This text may not change; see [`Resource`].
    const STORED: &str = r#"{"title":"Give Blood","fields":{"year":2005,"artist":"Brakes","exact":340282366920938463463374607431768211455},"links":[{"rel":"self","href":"/albums/7"},{"rel":"artist","href":"/artists/3","title":"Brakes"},{"rel":"search","href":"/search{?q}","templated":true}],"embedded":[{"rel":"tracks","many":true,"resources":[{"fields":{"length_ms":6000},"links":[{"rel":"self","href":"/tracks/1"}]}]},{"rel":"first","resources":[{"fields":{"length_ms":6000},"links":[{"rel":"self","href":"/tracks/1"}]}]}],"actions":[{"name":"replace","method":"PUT","href":"/albums/7","title":"Replace","fields":[{"name":"mood","kind":"choice","title":"Mood","required":true,"example":"x","value":"y","choices":["calm"]}]}]}"#;

    #[test]
    fn what_was_stored_is_read_again() {
        assert_eq!(serde_json::to_string(&everything()).expect("is JSON"), STORED);
        let read: Resource = serde_json::from_str(STORED).expect("reads");
        assert_eq!(read, everything());
    }

    #[test]
    fn a_resource_that_lacks_everything_is_read() {
        let read: Resource =
            serde_json::from_str(r#"{"later":"a member of another version"}"#).expect("reads");
        assert_eq!(read.self_href(), None);
        assert!(read.fields.is_empty() && read.actions.is_empty() && read.title.is_none());
    }

    #[test]
    fn self_is_the_reference_it_was_made_with() {
        assert_eq!(everything().self_href(), Some("/albums/7"));
        assert_eq!(everything().href_of("artist"), Some("/artists/3"));
        assert_eq!(everything().href_of("search"), None, "a template is no reference");
    }

    #[test]
    fn a_field_that_is_set_again_keeps_its_place() {
        let names = |resource: Resource| {
            resource
                .fields
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_text()))
                .collect()
        };
        let fields: Vec<String> = names(
            Resource::new("/").field("a", 1).field("b", 2).fields(&serde_json::json!({ "a": 3 })),
        );
        assert_eq!(fields, ["a=3", "b=2"]);
    }

    #[test]
    #[should_panic(expected = "fields are taken from an object, and this is [1]")]
    fn fields_come_from_an_object() {
        let _ = Resource::new("/").fields(&[1]);
    }

    struct Failing;

    impl Serialize for Failing {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("broken"))
        }
    }

    #[test]
    #[should_panic(expected = "the field 'a' has no JSON form: broken")]
    fn a_field_without_a_json_form_is_a_mistake_of_the_service() {
        let _ = Resource::new("/").field("a", Failing);
    }

    #[test]
    #[should_panic(expected = "these fields have no JSON form: broken")]
    fn fields_without_a_json_form_are_a_mistake_of_the_service() {
        let _ = Resource::new("/").fields(&Failing);
    }
}
