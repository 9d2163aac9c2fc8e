use std::sync::Arc;

use crate::{Error, Value};

/// One row of an answer. It owns its values and may leave the transaction.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[String]>,
    values: Box<[Value<'static>]>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Box<[Value<'static>]>) -> Self {
        Self { columns, values }
    }

    /// The value of the column that the statement calls `column`.
    ///
    /// # Errors
    /// [`Error::Column`] when there is no such column, or its value is not a `T` (NULL is only an
    /// `Option`).
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, Error> {
        let wrong = |why: String| Error::Column { column: column.to_owned(), why };
        let Some(index) = self.columns.iter().position(|name| name == column) else {
            return Err(wrong(format!("the row has only {}", self.columns.join(", "))));
        };
        let value = &self.values[index];
        T::from_value(value)
            .ok_or_else(|| wrong(format!("it holds {}, which is no {}", value.kind(), T::NAME)))
    }
}

/// What a column's value can be read as.
pub trait FromValue: Sized {
    /// The type's name, for the error.
    const NAME: &'static str;

    /// The value as this type; none if it does not fit.
    fn from_value(value: &Value<'_>) -> Option<Self>;
}

macro_rules! integers {
    ($($integer:ident),+) => {$(
        impl FromValue for $integer {
            const NAME: &'static str = stringify!($integer);

            fn from_value(value: &Value<'_>) -> Option<Self> {
                match value {
                    Value::Integer(integer) => (*integer).try_into().ok(),
                    _ => None,
                }
            }
        }
    )+};
}

integers!(i64, i32, i16, i8, u64, u32, u16, u8, usize);

impl FromValue for f64 {
    const NAME: &'static str = "f64";

    #[expect(clippy::cast_precision_loss, reason = "a whole number in a column of REAL values")]
    fn from_value(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Real(real) => Some(*real),
            Value::Integer(integer) => Some(*integer as Self),
            _ => None,
        }
    }
}

impl FromValue for bool {
    const NAME: &'static str = "bool";

    fn from_value(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Boolean(boolean) => Some(*boolean),
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            _ => None,
        }
    }
}

impl FromValue for String {
    const NAME: &'static str = "String";

    fn from_value(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone().into_owned()),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    const NAME: &'static str = "Vec<u8>";

    fn from_value(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(bytes) => Some(bytes.clone().into_owned()),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_value(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}
