//! Who may write keys: whoever has the operator's token.

use axum::http::{HeaderMap, StatusCode, header};
use backline_chassis::OperatorToken;

use crate::api::Fault;

/// Consul's own header.
const CONSUL_TOKEN: &str = "x-consul-token";

/// Lets a write to `what` pass that brings the token.
pub(crate) fn check(
    token: Option<&OperatorToken>,
    headers: &HeaderMap,
    what: &str,
) -> Result<(), Fault> {
    let denied = |why: &str| {
        let text = format!("Permission denied: 'key:write' on {what:?} {why}");
        Err(Fault::of(StatusCode::FORBIDDEN, text))
    };
    let Some(token) = token else {
        return denied(
            "is for nobody, as this registry was given no operator's token: name a file with one \
             in BACKLINE_OPERATOR_TOKEN_FILE",
        );
    };
    match presented(headers) {
        Some(presented) if token.is(presented) => {
            // Also where its writer leaves no record.
            tracing::info!(key = what, "a key may be written: the operator's token");
            Ok(())
        }
        Some(_) => denied("needs the operator's token, and what was sent is another"),
        None => denied(
            "needs the operator's token: send it as 'X-Consul-Token: <token>' or \
             'Authorization: Bearer <token>'; 'backline up' keeps it in operator.token of its var \
             folder",
        ),
    }
}

fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = || {
        let value = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, token) = value.split_at_checked("bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    };
    let own = headers.get(CONSUL_TOKEN).map(|value| value.as_bytes());
    own.filter(|token| !token.is_empty()).or_else(bearer)
}
