//! JSON values that keep what `serde_json::Value` may lose: the order of an object's members, and
//! every digit of a number.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
    ser::{self, SerializeMap},
};
use serde_json::value::RawValue;

/// Levels of arrays and objects in a value. A raw value that somebody sent may have as many as its
/// bytes allow, and everything that reads values calls itself at each level.
const MAX_DEPTH: usize = 128;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it was written: no type that Rust has holds every number of JSON.
    Number(String),
    String(String),
    Array(Vec<Value>),
    Object(Object),
}

/// An object whose members keep their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(Vec<(String, Value)>);

impl Value {
    /// The value that serde makes of something.
    ///
    /// # Errors
    /// When it has no JSON form: a map whose keys are not strings, a failing `Serialize`, or more
    /// than [`MAX_DEPTH`] levels.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        parse(&serde_json::to_string(value)?, MAX_DEPTH)
    }

    /// The JSON text in one line.
    pub fn to_text(&self) -> String {
        written(serde_json::to_string(self))
    }

    /// The JSON text for people.
    pub fn to_pretty_text(&self) -> String {
        written(serde_json::to_string_pretty(self))
    }
}

/// A `Value` is JSON by construction, and nothing can fail in memory.
fn written(text: Result<String, serde_json::Error>) -> String {
    text.unwrap_or_else(|error| unreachable!("a JSON value could not be written: {error}"))
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl Object {
    /// Sets a member; one that was there before keeps its place.
    pub fn set(&mut self, name: impl Into<String>, value: Value) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((name, value)),
        }
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Number(digits) => RawValue::from_string(digits.clone())
                .map_err(ser::Error::custom)?
                .serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match parse(raw.get(), MAX_DEPTH).map_err(de::Error::custom)? {
            Value::Object(object) => Ok(object),
            _ => Err(de::Error::custom("an object is wanted here")),
        }
    }
}

fn parse(text: &str, depth: usize) -> Result<Value, serde_json::Error> {
    let text = text.trim_ascii();
    let first = text.as_bytes().first();
    if depth == 0 && matches!(first, Some(b'[' | b'{')) {
        return Err(de::Error::custom(format!("more than {MAX_DEPTH} levels")));
    }
    let inside = |raw: &RawValue| parse(raw.get(), depth - 1);
    Ok(match first {
        Some(b'n') => Value::Null,
        Some(b't' | b'f') => Value::Bool(serde_json::from_str(text)?),
        Some(b'"') => Value::String(serde_json::from_str(text)?),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            Value::Array(items.into_iter().map(inside).collect::<Result<_, _>>()?)
        }
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text)?;
            let mut object = Object::default();
            for (name, raw) in members {
                object.set(name, inside(raw)?);
            }
            Value::Object(object)
        }
        _ => Value::Number(text.to_owned()),
    })
}

/// An object's members before their values are looked into.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or_default());
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Declared {
        zebra: u64,
        apple: f64,
        mango: Option<bool>,
        nested: Vec<(String, i128)>,
    }

    fn declared() -> Value {
        let nested = vec![("a \"quoted\" \u{1}".to_owned(), i128::MIN)];
        let declared = Declared { zebra: u64::MAX, apple: 0.1, mango: None, nested };
        Value::of(&declared).expect("is JSON")
    }

    #[test]
    fn members_keep_their_order_and_numbers_their_digits() {
        assert_eq!(
            declared().to_text(),
            "{\"zebra\":18446744073709551615,\"apple\":0.1,\"mango\":null,\
             \"nested\":[[\"a \\\"quoted\\\" \\u0001\",-170141183460469231731687303715884105728]]}"
        );
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let text = "{\"b\":1.0,\"a\":1,\"c\":1e400,\"d\":[true,false,null,{}],\"e\":\"\\u00e9\"}";
        let object: Object = serde_json::from_str(text).expect("reads");
        assert_eq!(Value::Object(object).to_text(), text.replace("\\u00e9", "é"));
    }

    #[test]
    fn a_member_that_is_set_again_keeps_its_place() {
        let mut object = Object::default();
        object.set("a", Value::Null);
        object.set("b", Value::Null);
        object.set("a", Value::Bool(true));
        assert_eq!(Value::Object(object.clone()).to_text(), r#"{"a":true,"b":null}"#);
        assert_eq!(object.get("a"), Some(&Value::Bool(true)));
        assert_eq!((object.get("c"), object.len(), object.is_empty()), (None, 2, false));
    }

    #[test]
    fn what_has_no_json_form_is_an_error() {
        let keys = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(Value::of(&keys).is_err());
        assert!(serde_json::from_str::<Object>("[1]").is_err());
    }

    #[test]
    fn levels_have_a_limit() {
        let nested = |levels: usize| {
            let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            RawValue::from_string(text).expect("is JSON")
        };
        assert!(Value::of(&nested(MAX_DEPTH)).is_ok());
        assert!(Value::of(&nested(MAX_DEPTH + 1)).is_err());
        assert!(Value::of(&nested(10_000)).is_err());
    }

    #[test]
    fn the_text_for_people_is_indented() {
        let text = Value::of(&serde_json::json!({ "a": [1] })).expect("is JSON").to_pretty_text();
        assert_eq!(text, "{\n  \"a\": [\n    1\n  ]\n}");
    }
}
