//! Which object of which store: what every error names.

use std::io;

use dcp_storage::{ObjectMeta, StorageError, StorePath};

use crate::beneath::{self, Blocked, Found};
use crate::temp;

/// An object in a store.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    location: String,
    path: StorePath,
}

impl Site {
    /// # Errors
    /// [`StorageError::InvalidPath`] if the name is one that the store keeps for itself.
    pub(crate) fn of(location: String, path: &StorePath) -> Result<Self, StorageError> {
        if path.components().any(temp::is_reserved) {
            let reason = "names that start with '.dcp-tmp-' are the store's own";
            return Err(StorageError::InvalidPath { path: path.to_string(), reason });
        }
        Ok(Self { location, path: path.clone() })
    }

    pub(crate) fn leaf(&self) -> &str {
        beneath::split(&self.path).1
    }

    pub(crate) fn meta(&self, size: u64) -> ObjectMeta {
        ObjectMeta { path: self.path.clone(), size, version: None }
    }

    pub(crate) fn io(&self, operation: &'static str) -> impl Fn(io::Error) -> StorageError {
        move |source| StorageError::Io {
            operation,
            location: self.location.clone(),
            path: self.path.to_string(),
            source,
        }
    }

    /// What an obstacle on the way to an object means for somebody who looks for it.
    pub(crate) fn on(&self, operation: &'static str) -> impl Fn(Blocked) -> StorageError {
        move |blocked| match blocked {
            Blocked::Missing | Blocked::BelowFile => {
                StorageError::NotFound { location: self.location.clone(), path: self.path.clone() }
            }
            Blocked::Foreign(found) => self.not_a_file(found),
            Blocked::Io(source) => self.io(operation)(source),
        }
    }

    /// What it means for somebody who wants to make one.
    pub(crate) fn on_write(&self, operation: &'static str) -> impl Fn(Blocked) -> StorageError {
        move |blocked| match blocked {
            Blocked::BelowFile => self.not_a_file("below another object"),
            Blocked::Missing => self.io(operation)(io::ErrorKind::NotFound.into()),
            Blocked::Foreign(found) => self.not_a_file(found),
            Blocked::Io(source) => self.io(operation)(source),
        }
    }

    /// The name is in use.
    pub(crate) fn taken(&self, found: &Found) -> StorageError {
        match found {
            Found::Object { .. } => {
                StorageError::AlreadyExists { location: self.location.clone(), path: self.path.clone() }
            }
            Found::Foreign(found) => self.not_a_file(found),
        }
    }

    pub(crate) fn refused(&self, expected: String, found: String) -> StorageError {
        StorageError::PreconditionFailed { location: self.location.clone(), path: self.path.clone(), expected, found }
    }

    pub(crate) fn out_of_range(&self, offset: u64, length: u64, size: u64) -> StorageError {
        StorageError::OutOfRange { location: self.location.clone(), path: self.path.clone(), offset, length, size }
    }

    fn not_a_file(&self, found: &'static str) -> StorageError {
        StorageError::NotAFile { location: self.location.clone(), path: self.path.clone(), found }
    }
}
