//! Which object of which store: what every error names.

use std::io;
use std::sync::Arc;

use dcp_storage::{StorageError, StorePath};

/// An object in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    location: Arc<str>,
    path: StorePath,
}

impl Site {
    pub(crate) fn of(location: Arc<str>, path: &StorePath) -> Self {
        Self { location, path: path.clone() }
    }

    pub(crate) fn failed(&self, operation: &'static str) -> impl Fn(object_store::Error) -> StorageError {
        move |fault| match fault {
            object_store::Error::NotFound { .. } => {
                StorageError::NotFound { location: self.location.to_string(), path: self.path.clone() }
            }
            fault => StorageError::Io {
                operation,
                location: self.location.to_string(),
                path: self.path.to_string(),
                source: io::Error::other(fault),
            },
        }
    }

    pub(crate) fn taken(&self) -> StorageError {
        StorageError::AlreadyExists { location: self.location.to_string(), path: self.path.clone() }
    }

    pub(crate) fn refused(&self, expected: String, found: String) -> StorageError {
        StorageError::PreconditionFailed {
            location: self.location.to_string(),
            path: self.path.clone(),
            expected,
            found,
        }
    }

    pub(crate) fn out_of_range(&self, offset: u64, length: u64, size: u64) -> StorageError {
        StorageError::OutOfRange { location: self.location.to_string(), path: self.path.clone(), offset, length, size }
    }
}
