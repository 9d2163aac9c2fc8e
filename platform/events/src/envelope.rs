use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::Cursor;

/// The payload of an event that a service emits: a snapshot of what happened, with references to
/// the resources it happened to.
pub trait Emit: Serialize {
    /// CloudEvents' `type`: what happened, in the past tense: `customer.created`.
    const TYPE: &'static str;
}

/// A CloudEvents 1.0 envelope in JSON, with the extension attributes of `docs/wire/events.md`.
///
/// A tolerant reader: attributes it does not know are passed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// Unique for ever (UUIDv7).
    pub id: String,
    /// The producer as a reference: `/customers`.
    pub source: String,
    /// What happened: `customer.created`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Reference of the resource that it happened to. Events with one subject keep their order.
    pub subject: String,
    /// When it was recorded (RFC 3339, UTC).
    pub time: String,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The id of the request that started it all, copied from cause to effect.
    pub correlationid: String,
    /// The id of the event that caused this one; absent where a request did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causationid: Option<String>,
    /// W3C trace context of the work that recorded it.
    pub traceparent: String,
    /// The life of the producer's store that `feedposition` belongs to.
    pub feedepoch: String,
    /// The place in the producer's feed, from 1 up.
    pub feedposition: i64,
    /// The payload.
    pub data: Box<RawValue>,
}

impl CloudEvent {
    /// Where a reader stands that has this event behind it.
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.feedepoch.clone(), position: self.feedposition }
    }

    /// Reads the payload as a type that declares only the fields its reader needs.
    ///
    /// # Errors
    /// When a field that the reader needs is missing or of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.data.get())
    }
}
