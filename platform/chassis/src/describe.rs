//! A service's description, made from its code: the OpenAPI document and the schemas of its events.

use std::{collections::BTreeMap, process::ExitCode};

use backline_events::Emit;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Info, OpenApi, RefOr, Schema},
};

use crate::{Service, process::complain};

/// An event type with the schema of its payload.
pub(crate) struct EmittedEvent {
    kind: &'static str,
    data: RefOr<Schema>,
    used: Vec<(String, RefOr<Schema>)>,
}

impl EmittedEvent {
    pub fn of<E: Emit + ToSchema>() -> Self {
        let mut used = Vec::new();
        E::schemas(&mut used);
        Self { kind: E::TYPE, data: <E as PartialSchema>::schema(), used }
    }
}

/// The OpenAPI 3.1 document.
pub(crate) fn openapi(service: &Service) -> OpenApi {
    let mut document = service.resources.get_openapi().clone();
    let mut info = Info::new(service.name, service.version);
    info.description = Some(service.about.to_owned());
    document.info = info;
    document
}

/// What the service emits, as JSON Schema, and what it reacts to.
pub(crate) fn events(service: &Service) -> Value {
    let emits: BTreeMap<_, _> =
        service.emits.iter().map(|event| (event.kind, json!({ "data": event.data }))).collect();
    let schemas: BTreeMap<_, _> =
        service.emits.iter().flat_map(|event| event.used.iter().map(|(k, v)| (k, v))).collect();
    let reacts_to: Vec<_> = service
        .reactions
        .iter()
        .flat_map(|(producer, reactions)| {
            reactions.kinds().map(move |kind| json!({ "producer": producer, "type": kind }))
        })
        .collect();
    json!({
        "service": service.name,
        "version": service.version,
        "envelope": "CloudEvents 1.0, application/cloudevents+json",
        "emits": emits,
        "reacts_to": reacts_to,
        "calls": service.calls,
        "components": { "schemas": schemas },
    })
}

#[expect(clippy::print_stdout, reason = "its output is what `describe` is for")]
pub(crate) fn print(service: &Service) -> ExitCode {
    let both = json!({ "openapi": openapi(service), "events": events(service) });
    match serde_json::to_string_pretty(&both) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(service.name, &error);
            ExitCode::FAILURE
        }
    }
}
