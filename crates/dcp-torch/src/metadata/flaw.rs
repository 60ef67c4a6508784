//! What is wrong with single entries.

use std::fmt;

use dcp_storage::{Finding, StorageError, StorePath, Strictness};
use dcp_types::Fqn;

use crate::pickle::{Fault, PickleError};

/// Something wrong with one entry, before it is known which entry that is.
#[derive(Clone, Debug)]
pub(super) enum Flaw {
    Corrupt(String),
    Unreadable(String),
}

impl Flaw {
    pub(super) fn corrupt(reason: impl fmt::Display) -> Self {
        Self::Corrupt(reason.to_string())
    }

    pub(super) fn of(self, path: &StorePath, name: &str) -> StorageError {
        match self {
            Self::Corrupt(reason) => corrupt(path, format!("{}: {reason}", short(name))),
            Self::Unreadable(what) => {
                StorageError::Unreadable { path: path.clone(), offset: 0, what: format!("{what} (of {})", short(name)) }
            }
        }
    }
}

/// Where faults go: the first one out, or all into a list.
#[derive(Debug)]
pub(super) struct Findings {
    strictness: Strictness,
    found: Vec<Finding>,
}

impl Findings {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { strictness, found: Vec::new() }
    }

    /// # Errors
    /// The fault itself, if nothing is to be left out.
    pub(super) fn add(&mut self, fqn: Option<Fqn>, error: StorageError) -> Result<(), StorageError> {
        match self.strictness {
            Strictness::Strict => Err(error),
            Strictness::Salvage => {
                self.found.push(Finding { fqn, fault: error });
                Ok(())
            }
        }
    }

    pub(super) fn into_list(self) -> Vec<Finding> {
        self.found
    }
}

pub(super) fn corrupt(path: &StorePath, reason: String) -> StorageError {
    StorageError::Corrupt { path: path.clone(), offset: 0, reason }
}

/// A pickle that is unsound is corrupt; one that says what cannot be expressed is not readable.
pub(super) fn unreadable(path: &StorePath, error: PickleError) -> StorageError {
    match *error.fault {
        Fault::Unsupported(what) => StorageError::Unreadable { path: path.clone(), offset: error.position, what },
        fault => StorageError::Corrupt { path: path.clone(), offset: error.position, reason: fault.to_string() },
    }
}

/// Text from outside, for a message: not more than a line of it.
pub(super) fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(200)).unwrap_or(text)
}
