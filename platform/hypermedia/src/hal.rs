//! HAL JSON (draft-kelly-json-hal) with HAL-FORMS templates.

use crate::{
    Action, Field, Problem, Resource,
    action::Kind,
    resource::{Embedded, Link},
    value::{Object, Value},
};

/// A resource as HAL: `_links`, the fields, `_embedded`, `_templates`.
pub(crate) fn resource(resource: &Resource) -> Value {
    let mut object = Object::default();
    object.set("_links", links(&resource.links, resource.title.as_deref()));
    for (name, value) in resource.fields.iter() {
        object.set(name, value.clone());
    }
    if !resource.embedded.is_empty() {
        object.set("_embedded", members(&resource.embedded, |each| (&each.rel, embedded(each))));
    }
    if !resource.actions.is_empty() {
        object.set("_templates", members(&resource.actions, |each| (&each.name, template(each))));
    }
    Value::Object(object)
}

/// Problem details (RFC 9457), with links as in HAL.
pub(crate) fn problem(problem: &Problem) -> Value {
    let mut object = Object::default();
    object.set("type", Value::String(problem.type_uri()));
    object.set("title", (&*problem.title).into());
    object.set("status", Value::Number(problem.status.as_u16().to_string()));
    optional(&mut object, "detail", problem.detail.as_deref());
    for (name, value) in problem.extensions.iter() {
        object.set(name, value.clone());
    }
    if !problem.links.is_empty() {
        object.set("_links", links(&problem.links, None));
    }
    Value::Object(object)
}

fn members<'a, T>(of: &'a [T], member: impl Fn(&'a T) -> (&'a String, Value)) -> Value {
    let mut object = Object::default();
    of.iter().map(member).for_each(|(name, value)| object.set(name, value));
    Value::Object(object)
}

/// A relation with one link has an object, one with several an array.
fn links(links: &[Link], title_of_self: Option<&str>) -> Value {
    let mut object = Object::default();
    for link in links {
        if object.get(&link.rel).is_some() {
            continue;
        }
        let made = links.iter().filter(|other| other.rel == link.rel).map(|link| {
            let title = link.title.as_deref();
            self::link(link, if link.rel == "self" { title.or(title_of_self) } else { title })
        });
        object.set(&link.rel, one_or_many(made.collect()));
    }
    Value::Object(object)
}

fn one_or_many(mut values: Vec<Value>) -> Value {
    if values.len() > 1 { Value::Array(values) } else { values.pop().unwrap_or(Value::Null) }
}

fn link(link: &Link, title: Option<&str>) -> Value {
    let mut object = Object::default();
    object.set("href", (&*link.href).into());
    if link.templated {
        object.set("templated", Value::Bool(true));
    }
    optional(&mut object, "title", title);
    Value::Object(object)
}

fn embedded(embedded: &Embedded) -> Value {
    let made = embedded.resources.iter().map(resource).collect();
    if embedded.many { Value::Array(made) } else { one_or_many(made) }
}

fn template(action: &Action) -> Value {
    let mut object = Object::default();
    optional(&mut object, "title", action.title.as_deref());
    object.set("method", action.method.as_str().into());
    object.set("target", (&*action.href).into());
    if !action.fields.is_empty() {
        object.set("contentType", "application/json".into());
        object.set("properties", Value::Array(action.fields.iter().map(property).collect()));
    }
    Value::Object(object)
}

fn property(field: &Field) -> Value {
    let mut object = Object::default();
    object.set("name", (&*field.name).into());
    optional(&mut object, "prompt", field.title.as_deref());
    if field.required {
        object.set("required", Value::Bool(true));
    }
    object.set("type", kind(field.kind).into());
    optional(&mut object, "placeholder", field.example.as_deref());
    optional(&mut object, "value", field.value.as_deref());
    if field.kind == Kind::Choice {
        let choices = field.choices.iter().map(|choice| (&**choice).into()).collect();
        let mut options = Object::default();
        options.set("inline", Value::Array(choices));
        object.set("options", Value::Object(options));
    }
    Value::Object(object)
}

/// HAL-FORMS' `type`. A choice is told by its `options`, not by a type.
fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Choice => "text",
        Kind::Multiline => "textarea",
        Kind::Number => "number",
        Kind::Email => "email",
        Kind::Flag => "checkbox",
    }
}

fn optional(object: &mut Object, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        object.set(name, text.into());
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    fn text(of: &Resource) -> String {
        resource(of).to_text()
    }

    #[test]
    fn links_come_first_and_fields_as_declared() {
        let album = Resource::new("/albums/7")
            .field("zebra", 1)
            .field("apple", u64::MAX)
            .link_titled("artist", "/artists/3", "Brakes")
            .templated("search", "/search{?q}");
        assert_eq!(
            text(&album),
            r#"{"_links":{"self":{"href":"/albums/7"},"artist":{"href":"/artists/3","title":"Brakes"},"search":{"href":"/search{?q}","templated":true}},"zebra":1,"apple":18446744073709551615}"#
        );
    }

    #[test]
    fn the_title_is_that_of_the_self_link() {
        let album = Resource::new("/albums/7").title("Give Blood").field("title", "a field");
        assert_eq!(
            text(&album),
            r#"{"_links":{"self":{"href":"/albums/7","title":"Give Blood"}},"title":"a field"}"#
        );
    }

    #[test]
    fn a_relation_used_twice_is_an_array_in_its_first_place() {
        let album = Resource::new("/a").link("x", "/1").link("y", "/2").link("x", "/3");
        assert_eq!(
            text(&album),
            r#"{"_links":{"self":{"href":"/a"},"x":[{"href":"/1"},{"href":"/3"}],"y":{"href":"/2"}}}"#
        );
    }

    #[test]
    fn one_resource_is_an_object_and_a_collection_always_an_array() {
        let part =
            |href: &str| Resource { links: Vec::new(), ..Resource::new("") }.field("at", href);
        let whole = Resource { links: Vec::new(), ..Resource::new("") };
        let embedded = |resource: Resource| text(&resource).replace(r#"{"_links":{},"#, "{");
        assert_eq!(
            embedded(whole.clone().embed("one", part("1"))),
            r#"{"_embedded":{"one":{"at":"1"}}}"#
        );
        assert_eq!(
            embedded(whole.clone().embed("two", part("1")).embed("two", part("2"))),
            r#"{"_embedded":{"two":[{"at":"1"},{"at":"2"}]}}"#
        );
        assert_eq!(embedded(whole.clone().embed_all("none", [])), r#"{"_embedded":{"none":[]}}"#);
        assert_eq!(
            embedded(whole.clone().embed_all("all", [part("1")])),
            r#"{"_embedded":{"all":[{"at":"1"}]}}"#
        );
        assert_eq!(
            embedded(whole.clone().embed("both", part("1")).embed_all("both", [])),
            r#"{"_embedded":{"both":[{"at":"1"}]}}"#
        );
        assert_eq!(
            embedded(whole.embed_all("all", [part("1")]).embed("other", part("2"))),
            r#"{"_embedded":{"all":[{"at":"1"}],"other":{"at":"2"}}}"#
        );
    }

    #[test]
    fn actions_are_hal_forms_templates() {
        let action = Action::patch("change", "/a/change")
            .title("Change it")
            .field(Field::text("name").title("Name").required().example("Ada").value("Bob"))
            .field(Field::choice("mood", ["calm", "loud"]))
            .field(Field::multiline("note"))
            .field(Field::number("stars"))
            .field(Field::email("email"))
            .field(Field::flag("public"));
        let made = text(&Resource::new("/a").action(action).action(Action::delete("remove", "/a")));
        let made: serde_json::Value = serde_json::from_str(&made).expect("is JSON");
        assert_eq!(
            made["_templates"],
            json!({
                "change": {
                    "title": "Change it",
                    "method": "PATCH",
                    "target": "/a/change",
                    "contentType": "application/json",
                    "properties": [
                        { "name": "name", "prompt": "Name", "required": true, "type": "text",
                          "placeholder": "Ada", "value": "Bob" },
                        { "name": "mood", "type": "text", "options": { "inline": ["calm", "loud"] } },
                        { "name": "note", "type": "textarea" },
                        { "name": "stars", "type": "number" },
                        { "name": "email", "type": "email" },
                        { "name": "public", "type": "checkbox" },
                    ],
                },
                "remove": { "method": "DELETE", "target": "/a" },
            })
        );
    }

    #[test]
    fn the_methods_are_those_of_http() {
        let actions = [
            (Action::post("a", "/"), "POST"),
            (Action::put("a", "/"), "PUT"),
            (Action::patch("a", "/"), "PATCH"),
            (Action::delete("a", "/"), "DELETE"),
        ];
        for (action, method) in actions {
            let template = template(&action).to_text();
            assert!(template.contains(&format!(r#""method":"{method}""#)), "{template}");
        }
    }

    #[test]
    fn names_that_hal_keeps_are_left_out() {
        let forged = json!({ "_links": 1, "_embedded": 2, "_templates": 3, "fine": 4 });
        let made = Resource::new("/a").fields(&forged).field("_links", "forged");
        assert_eq!(text(&made), r#"{"_links":{"self":{"href":"/a"}},"fine":4}"#);
    }

    #[test]
    fn a_problem_has_the_members_of_its_standard_and_links() {
        let bare = Problem::new(StatusCode::NOT_FOUND, "not-found", "No such thing");
        assert_eq!(
            problem(&bare).to_text(),
            r#"{"type":"urn:backline:error:not-found","title":"No such thing","status":404}"#
        );
        let full =
            bare.detail("It went").with("state", "closed").with("state", "gone").link("up", "/a");
        assert_eq!(
            problem(&full).to_text(),
            r#"{"type":"urn:backline:error:not-found","title":"No such thing","status":404,"detail":"It went","state":"gone","_links":{"up":{"href":"/a"}}}"#
        );
    }
}
