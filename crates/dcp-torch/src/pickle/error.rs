//! Why a pickle is refused.

use std::fmt;

/// A pickle that is refused, and where.
#[derive(Debug, thiserror::Error)]
#[error("pickle byte {position}: {fault}")]
pub(crate) struct PickleError {
    /// Where the operation at fault starts, counted from the start of the pickle.
    pub(crate) position: u64,
    /// What is wrong.
    pub(crate) fault: Box<Fault>,
}

/// What is wrong with a pickle. Boxed wherever it travels: every step of the machine might return one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It is no pickle, or does not mean what it should.
    #[error("found {what}, expected {expected}")]
    Malformed {
        /// What was found.
        what: String,
        /// What should be there.
        expected: &'static str,
    },
    /// It goes on beyond the bytes that are there.
    #[error("found {left} bytes before the end where {needed} are needed")]
    Cut {
        /// How many bytes are left.
        left: u64,
        /// How many there should be, at the least.
        needed: u64,
    },
    /// It refers to something that the vocabulary does not have.
    #[error("{module}.{name} is not allowed here")]
    Forbidden {
        /// The module.
        module: String,
        /// The name in it.
        name: String,
    },
    /// It is sound, but asks for more than its size justifies.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// The most that is allowed.
        limit: u64,
    },
    /// It is sound, but says something that cannot be expressed here.
    #[error("{0} is not supported")]
    Unsupported(String),
}

impl Fault {
    #[cold]
    pub(crate) fn malformed(what: impl fmt::Display, expected: &'static str) -> Box<Self> {
        Box::new(Self::Malformed { what: what.to_string(), expected })
    }

    #[cold]
    pub(crate) fn forbidden(module: &str, name: &str) -> Box<Self> {
        Box::new(Self::Forbidden { module: module.into(), name: name.into() })
    }

    #[cold]
    pub(crate) fn unsupported(what: impl fmt::Display) -> Box<Self> {
        Box::new(Self::Unsupported(what.to_string()))
    }

    #[cold]
    pub(crate) fn limit(what: &'static str, limit: impl Into<u64>) -> Box<Self> {
        Box::new(Self::Limit { what, limit: limit.into() })
    }

    #[cold]
    pub(crate) fn at(self: Box<Self>, position: usize) -> PickleError {
        PickleError { position: position as u64, fault: self }
    }
}
