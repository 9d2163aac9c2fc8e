//! A JSON object whose keys are found without regard to case and underscores.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use super::Invalid;
use crate::duration;

pub(super) struct Fields {
    values: BTreeMap<String, Value>,
}

fn normal(key: &str) -> String {
    key.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

impl Fields {
    pub fn of(json: Value, what: &str) -> Result<Self, Invalid> {
        match json {
            Value::Object(map) => Ok(Self::from(map)),
            _ => Err(Invalid(format!("Request decode failed: {what} must be a JSON object"))),
        }
    }

    fn from(map: Map<String, Value>) -> Self {
        Self { values: map.into_iter().map(|(key, value)| (normal(&key), value)).collect() }
    }

    /// The value of a key, with null for an absent one.
    fn get(&self, key: &str) -> &Value {
        self.values.get(&normal(key)).unwrap_or(&Value::Null)
    }

    /// Whether the key has a value that says something.
    pub fn has(&self, key: &str) -> bool {
        match self.get(key) {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::Number(_) | Value::Bool(true) => true,
        }
    }

    pub fn text(&self, key: &str) -> Result<Option<String>, Invalid> {
        match self.get(key) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => wrong(key, "a string"),
        }
    }

    pub fn flag(&self, key: &str) -> Result<bool, Invalid> {
        match self.get(key) {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            _ => wrong(key, "true or false"),
        }
    }

    pub fn number(&self, key: &str, most: u64) -> Result<Option<u64>, Invalid> {
        match self.get(key) {
            Value::Null => Ok(None),
            value => match value.as_u64() {
                Some(number) if number <= most => Ok(Some(number)),
                _ => wrong(key, &format!("a number from 0 to {most}")),
            },
        }
    }

    pub fn port(&self, key: &str) -> Result<u16, Invalid> {
        let number = self.number(key, u64::from(u16::MAX))?.unwrap_or(0);
        Ok(u16::try_from(number).unwrap_or(0))
    }

    /// A duration: a text with units or, as in Go, a number of nanoseconds.
    pub fn duration(&self, key: &str) -> Result<Option<Duration>, Invalid> {
        match self.get(key) {
            Value::Null => Ok(None),
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => match duration::parse(text) {
                Ok(duration) => Ok(Some(duration)),
                Err(error) => Err(Invalid(format!("{key}: {error}"))),
            },
            value => match value.as_u64() {
                Some(nanos) => Ok(Some(Duration::from_nanos(nanos))),
                None => wrong(key, "a duration like 30s"),
            },
        }
    }

    pub fn texts(&self, key: &str) -> Result<Vec<String>, Invalid> {
        match self.get(key) {
            Value::Null => Ok(Vec::new()),
            value => {
                serde_json::from_value(value.clone()).or_else(|_| wrong(key, "a list of strings"))
            }
        }
    }

    pub fn map(&self, key: &str) -> Result<BTreeMap<String, String>, Invalid> {
        match self.get(key) {
            Value::Null => Ok(BTreeMap::new()),
            value => serde_json::from_value(value.clone())
                .or_else(|_| wrong(key, "an object whose values are strings")),
        }
    }

    pub fn lists(&self, key: &str) -> Result<BTreeMap<String, Vec<String>>, Invalid> {
        match self.get(key) {
            Value::Null => Ok(BTreeMap::new()),
            value => serde_json::from_value(value.clone())
                .or_else(|_| wrong(key, "an object whose values are lists of strings")),
        }
    }

    pub fn object(&self, key: &str) -> Result<Option<Self>, Invalid> {
        match self.get(key) {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(Self::from(map.clone()))),
            _ => wrong(key, "an object"),
        }
    }

    pub fn objects(&self, key: &str) -> Result<Vec<(String, Self)>, Invalid> {
        match self.get(key) {
            Value::Null => Ok(Vec::new()),
            Value::Object(map) => map
                .iter()
                .map(|(name, value)| Ok((name.clone(), Self::of(value.clone(), key)?)))
                .collect(),
            _ => wrong(key, "an object of objects"),
        }
    }

    pub fn list(&self, key: &str) -> Result<Vec<Self>, Invalid> {
        match self.get(key) {
            Value::Null => Ok(Vec::new()),
            Value::Array(list) => list.iter().map(|value| Self::of(value.clone(), key)).collect(),
            _ => wrong(key, "a list of objects"),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

fn wrong<T>(key: &str, right: &str) -> Result<T, Invalid> {
    Err(Invalid(format!("Request decode failed: {key} must be {right}")))
}
