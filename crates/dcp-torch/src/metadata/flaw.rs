//! What is wrong with single entries.

use std::fmt;

use dcp_storage::{StorageError, StorePath};
use dcp_types::Fqn;

use super::Strictness;
use crate::pickle::{Fault, PickleError};

/// A part of an index that is bad and was left out.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The tensor or value, if it is known which.
    pub(crate) fqn: Option<Fqn>,
    /// What is wrong with it.
    pub(crate) error: StorageError,
}

/// Something wrong with one entry, before it is known which entry that is.
#[derive(Clone, Debug)]
pub(super) enum Flaw {
    Corrupt(String),
    Unsupported(String),
}

impl Flaw {
    pub(super) fn corrupt(reason: impl fmt::Display) -> Self {
        Self::Corrupt(reason.to_string())
    }

    pub(super) fn of(self, path: &StorePath, name: &str) -> StorageError {
        match self {
            Self::Corrupt(reason) => corrupt(path, format!("{}: {reason}", short(name))),
            Self::Unsupported(what) => unsupported(path, 0, format!("{what} (of {})", short(name))),
        }
    }
}

/// Where faults go: the first one out, or all into a list.
#[derive(Debug)]
pub(super) struct Findings {
    strictness: Strictness,
    problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { strictness, problems: Vec::new() }
    }

    /// # Errors
    /// The fault itself, if nothing is to be left out.
    pub(super) fn add(&mut self, fqn: Option<Fqn>, error: StorageError) -> Result<(), StorageError> {
        match self.strictness {
            Strictness::Strict => Err(error),
            Strictness::Rescue => {
                self.problems.push(Problem { fqn, error });
                Ok(())
            }
        }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

pub(super) fn corrupt(path: &StorePath, reason: String) -> StorageError {
    StorageError::Corrupt { path: path.clone(), offset: 0, reason }
}

fn unsupported(path: &StorePath, offset: u64, what: String) -> StorageError {
    StorageError::Unreadable { path: path.clone(), offset, what }
}

/// A pickle that is unsound is corrupt; one that uses what is not known here cannot be read.
pub(super) fn unreadable(path: &StorePath, error: PickleError) -> StorageError {
    match *error.fault {
        Fault::Unsupported(what) => unsupported(path, error.position, what),
        fault => StorageError::Corrupt { path: path.clone(), offset: error.position, reason: fault.to_string() },
    }
}

/// Text from outside, for a message: not more than a line of it.
pub(super) fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(200)).unwrap_or(text)
}
