//! How an error travels to the other ranks.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// An error that the other ranks can be told about.
///
/// The rank where it happened keeps the error itself; the others get its wire form, a [`RankFailure`].
///
/// ```
/// use dcp_collective::{RankFailure, WireError};
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("shape of `{fqn}` changed")]
/// struct ShapeChanged {
///     fqn: String,
/// }
///
/// impl WireError for ShapeChanged {
///     fn kind(&self) -> &str {
///         "shape-changed"
///     }
///     fn fqn(&self) -> Option<&str> {
///         Some(&self.fqn)
///     }
/// }
///
/// let failure = RankFailure::of(3, &ShapeChanged { fqn: "layers.0.weight".into() });
/// assert_eq!(failure.to_string(), "rank 3: shape of `layers.0.weight` changed [shape-changed, `layers.0.weight`]");
/// ```
pub trait WireError: Error {
    /// A short, stable word for what went wrong, for programs: `"not-found"`, `"shape-changed"`.
    fn kind(&self) -> &str;

    /// The fully qualified name of the tensor or value that it went wrong with, if there is one.
    fn fqn(&self) -> Option<&str> {
        None
    }

    /// Whether doing the same again may succeed.
    fn is_retryable(&self) -> bool {
        false
    }
}

/// What went wrong on one rank, as the other ranks are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankFailure {
    /// The label of the rank where it went wrong.
    pub rank: u32,
    /// [`WireError::kind`].
    pub kind: String,
    /// What the error says, and what the errors behind it say.
    pub message: String,
    /// [`WireError::fqn`].
    pub fqn: Option<String>,
    /// [`WireError::is_retryable`].
    pub retryable: bool,
}

impl RankFailure {
    /// The wire form of an error that happened on the rank labelled `rank`.
    pub fn of(rank: u32, error: &dyn WireError) -> Self {
        Self {
            rank,
            kind: error.kind().to_owned(),
            message: message_with_causes(error),
            fqn: error.fqn().map(str::to_owned),
            retryable: error.is_retryable(),
        }
    }

    /// Whether it is not known what became of the rank's own part: it was not heard of to the end, or not understood.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        // The kinds of such a `CollectiveError`.
        ["silent", "gone", "timed-out", "malformed", "diverged", "transport"].contains(&self.kind.as_str())
    }
}

impl fmt::Display for RankFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {}: {} [{}", self.rank, self.message, self.kind)?;
        if let Some(fqn) = &self.fqn {
            write!(f, ", `{fqn}`")?;
        }
        f.write_str("]")
    }
}

impl WireError for std::io::Error {
    fn kind(&self) -> &str {
        "io"
    }

    fn is_retryable(&self) -> bool {
        use std::io::ErrorKind::{ConnectionReset, Interrupted, TimedOut, WouldBlock};
        matches!(self.kind(), Interrupted | TimedOut | WouldBlock | ConnectionReset)
    }
}

impl WireError for std::convert::Infallible {
    fn kind(&self) -> &str {
        match *self {}
    }
}

/// The text of an error and of its causes. Many errors repeat their cause in their own text; that is said only once.
fn message_with_causes(error: &dyn WireError) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write `a`")]
        struct Outer(#[source] std::io::Error);
        impl WireError for Outer {
            fn kind(&self) -> &str {
                "write"
            }
        }
        let failure = RankFailure::of(0, &Outer(std::io::Error::other("disk full")));
        assert_eq!(failure.message, "cannot write `a`: disk full");
        assert_eq!(RankFailure::of(0, &std::io::Error::other("disk full")).message, "disk full");
    }
}
