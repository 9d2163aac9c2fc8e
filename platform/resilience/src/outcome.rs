//! What a call came to, as the measures see it.

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other side did its work, even if its answer was no.
    Success,
    /// The other side is at fault: no answer, none in time, or one that says it failed.
    Failure,
    /// It says nothing about the other side: the call was given up, or was wrong itself.
    Ignored,
}
