use serde::{Deserialize, Serialize};

/// Something that a caller may do with a resource in its present state: a HAL-FORMS template in
/// JSON, a form on the page. Its body is a JSON object with the fields that were filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) href: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Action {
    /// Creates something, or gives a command: `Action::post("suspend", "/customers/7/suspend")`.
    #[must_use]
    pub fn post(name: impl Into<String>, href: impl Into<String>) -> Self {
        Self::new(Method::Post, name.into(), href.into())
    }

    /// Replaces a resource.
    #[must_use]
    pub fn put(name: impl Into<String>, href: impl Into<String>) -> Self {
        Self::new(Method::Put, name.into(), href.into())
    }

    /// Changes a part of a resource.
    #[must_use]
    pub fn patch(name: impl Into<String>, href: impl Into<String>) -> Self {
        Self::new(Method::Patch, name.into(), href.into())
    }

    /// Removes a resource.
    #[must_use]
    pub fn delete(name: impl Into<String>, href: impl Into<String>) -> Self {
        Self::new(Method::Delete, name.into(), href.into())
    }

    fn new(method: Method, name: String, href: String) -> Self {
        Self { name, method, href, title: None, fields: Vec::new() }
    }

    /// What it does, in an imperative: `Suspend the customer`. By default the name is shown.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds something to fill in.
    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }
}

/// Something to fill in: a member of the JSON object that the action sends. One that is left empty
/// is not sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) example: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) choices: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Text,
    Multiline,
    Number,
    Email,
    Flag,
    Choice,
}

impl Field {
    /// A line of text.
    #[must_use]
    pub fn text(name: impl Into<String>) -> Self {
        Self::new(Kind::Text, name.into())
    }

    /// Text of several lines.
    #[must_use]
    pub fn multiline(name: impl Into<String>) -> Self {
        Self::new(Kind::Multiline, name.into())
    }

    /// A number. It is sent as a JSON number with the digits that were typed.
    #[must_use]
    pub fn number(name: impl Into<String>) -> Self {
        Self::new(Kind::Number, name.into())
    }

    /// An e-mail address.
    #[must_use]
    pub fn email(name: impl Into<String>) -> Self {
        Self::new(Kind::Email, name.into())
    }

    /// Yes or no. It is sent as `true` or `false`, never left out.
    #[must_use]
    pub fn flag(name: impl Into<String>) -> Self {
        Self::new(Kind::Flag, name.into())
    }

    /// One of several texts.
    #[must_use]
    pub fn choice<S: Into<String>>(
        name: impl Into<String>,
        choices: impl IntoIterator<Item = S>,
    ) -> Self {
        let choices = choices.into_iter().map(Into::into).collect();
        Self { choices, ..Self::new(Kind::Choice, name.into()) }
    }

    fn new(kind: Kind, name: String) -> Self {
        Self {
            name,
            kind,
            title: None,
            required: false,
            example: None,
            value: None,
            choices: Vec::new(),
        }
    }

    /// The label. By default it is made of the name.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// It must be filled in.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Shown while the field is empty.
    #[must_use]
    pub fn example(mut self, example: impl Into<String>) -> Self {
        self.example = Some(example.into());
        self
    }

    /// What the field has before anybody types; for a flag, `true` is on.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }
}
