//! The breaker and the bulkhead before each service.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use backline_client::{Client, Discovery, Purpose};
use backline_resilience::Outcome;
use http::Response;

use crate::{
    forward::{Shed, Unanswered},
    retry::Failed,
    upstream::Answer,
};

/// One guard for each service that requests were forwarded to.
pub(crate) struct Guards {
    discovery: Discovery,
    known: Mutex<HashMap<String, Client>>,
}

impl Guards {
    pub fn new(discovery: Discovery) -> Self {
        Self { discovery, known: Mutex::default() }
    }

    /// The guard of a service that has a route: so there are no more guards than services.
    pub fn of(&self, service: &str) -> Client {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = known.get(service) {
            return guard.clone();
        }
        let guard = self.discovery.client_for(service, Purpose::Traffic);
        known.insert(service.to_owned(), guard.clone());
        guard
    }
}

/// What a forwarded request says about its service.
pub(crate) fn verdict(forwarded: &Result<Response<Answer>, Unanswered>) -> Outcome {
    match forwarded {
        Ok(answer) if answer.extensions().get::<Shed>().is_some() => Outcome::Ignored,
        Ok(answer) if answer.status().is_server_error() => Outcome::Failure,
        Ok(answer) if matches!(answer.status().as_u16(), 421 | 429) => Outcome::Ignored,
        Ok(_) => Outcome::Success,
        Err(Unanswered::Failed(Failed::NotSent | Failed::Cut | Failed::Late)) => Outcome::Failure,
        Err(Unanswered::Failed(Failed::Misdirected | Failed::CallerSlow | Failed::CallerGone)) => {
            Outcome::Ignored
        }
        Err(Unanswered::NobodyHealthy | Unanswered::Denied(_)) => Outcome::Ignored,
    }
}
