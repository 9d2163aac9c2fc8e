//! A setting that cannot be meant.

/// A setting that lies outside its limits.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field} is {value}; it must be {right}")]
pub struct InvalidLimit {
    /// The field, as it is called in the settings.
    pub field: &'static str,
    /// The value that was given.
    pub value: String,
    /// What would be right.
    pub right: &'static str,
}

/// Complains about `field` unless it is `fine`.
pub(crate) fn demand(
    fine: bool,
    field: &'static str,
    value: &dyn std::fmt::Debug,
    right: &'static str,
) -> Result<(), InvalidLimit> {
    if fine { Ok(()) } else { Err(InvalidLimit { field, value: format!("{value:?}"), right }) }
}
