use std::borrow::Cow;

use rusqlite::{
    ToSql,
    types::{ToSqlOutput, ValueRef},
};

/// A value that goes into a statement or comes out of a row. Made by [`params!`](crate::params).
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// An integer of 64 bits.
    Integer(i64),
    /// A floating-point number of 64 bits.
    Real(f64),
    /// A truth value; SQLite keeps it as 0 or 1.
    Boolean(bool),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Blob(Cow<'a, [u8]>),
}

/// The parameters of a statement: `params![&name, 3, None::<&str>]`.
///
/// Takes integers up to 64 bits, `f64`, `bool`, text, bytes, options of them, and references to them.
#[macro_export]
macro_rules! params {
    () => { ([] as [$crate::Value<'static>; 0]) };
    ($($value:expr),+ $(,)?) => { [$($crate::Value::from($value)),+] };
}

impl Value<'_> {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a floating-point number",
            Self::Boolean(_) => "a truth value",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Boolean(boolean) => ValueRef::Integer(i64::from(*boolean)),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

macro_rules! copied {
    ($($from:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$from> for Value<'_> {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }

        impl From<&$from> for Value<'_> {
            fn from(value: &$from) -> Self {
                Self::$variant((*value).into())
            }
        }

        impl From<&Option<$from>> for Value<'_> {
            fn from(value: &Option<$from>) -> Self {
                (*value).into()
            }
        }
    )+};
}

copied! {
    i64 => Integer, i32 => Integer, i16 => Integer, i8 => Integer,
    u32 => Integer, u16 => Integer, u8 => Integer,
    f64 => Real, f32 => Real, bool => Boolean,
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a &str> for Value<'a> {
    fn from(text: &'a &str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(Cow::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Blob(Cow::Borrowed(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Blob(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(Cow::Owned(bytes))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(option: Option<T>) -> Self {
        option.map_or(Self::Null, Into::into)
    }
}

// One by one: the rule for every `&Option<T>` sends the compiler round in circles.
impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(option: &'a Option<String>) -> Self {
        option.as_ref().map_or(Self::Null, Into::into)
    }
}

impl<'a> From<&'a Option<Vec<u8>>> for Value<'a> {
    fn from(option: &'a Option<Vec<u8>>) -> Self {
        option.as_ref().map_or(Self::Null, Into::into)
    }
}
