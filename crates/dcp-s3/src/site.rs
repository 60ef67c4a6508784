//! Which object of which store: what every error names.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dcp_storage::{ObjectMeta, StorageError, StorePath};
use object_store::Error;

use crate::work::{Cause, Failure};

/// An object in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    location: Arc<str>,
    path: StorePath,
}

impl Site {
    pub(crate) fn of(location: &Arc<str>, path: &StorePath) -> Self {
        Self { location: Arc::clone(location), path: path.clone() }
    }

    pub(crate) fn meta(&self, size: u64) -> ObjectMeta {
        ObjectMeta { path: self.path.clone(), size, version: None }
    }

    /// What it means for somebody who looks for the object that work at it failed. `operation` is a verb.
    pub(crate) fn failed(&self, operation: &'static str) -> impl Fn(Failure) -> StorageError {
        move |failure| {
            if failure.is_missing() { self.not_found() } else { self.failed_to(operation)(failure) }
        }
    }

    /// What it means for somebody who makes it: what is missing then is an upload, or the bucket.
    pub(crate) fn failed_to(&self, operation: &'static str) -> impl Fn(Failure) -> StorageError {
        move |failure| failed(&self.location, self.path.as_str(), operation, failure)
    }

    pub(crate) fn gave_up(
        &self,
        operation: &'static str,
        attempts: u32,
        elapsed: Duration,
        reason: String,
    ) -> StorageError {
        let (location, path) = (self.location.to_string(), self.path.to_string());
        StorageError::GaveUp { operation, location, path, attempts, elapsed, source: io::Error::other(reason) }
    }

    /// The store does not do as it should.
    pub(crate) fn broken(&self, operation: &'static str, reason: String) -> StorageError {
        self.io(operation, io::Error::new(io::ErrorKind::InvalidData, reason))
    }

    pub(crate) fn no_upload(&self, operation: &'static str) -> StorageError {
        self.io(operation, io::Error::new(io::ErrorKind::NotFound, "there is no such upload any more"))
    }

    pub(crate) fn io(&self, operation: &'static str, source: io::Error) -> StorageError {
        StorageError::Io { operation, location: self.location.to_string(), path: self.path.to_string(), source }
    }

    pub(crate) fn not_found(&self) -> StorageError {
        StorageError::NotFound { location: self.location.to_string(), path: self.path.clone() }
    }

    pub(crate) fn too_long(&self, size: u64, longest: u64) -> StorageError {
        StorageError::too_long(&self.path, size, longest)
    }

    pub(crate) fn taken(&self) -> StorageError {
        StorageError::AlreadyExists { location: self.location.to_string(), path: self.path.clone() }
    }

    pub(crate) fn refused(&self, expected: String, found: String) -> StorageError {
        let (location, path) = (self.location.to_string(), self.path.clone());
        StorageError::PreconditionFailed { location, path, expected, found }
    }

    pub(crate) fn no_conditions(&self, reason: String) -> StorageError {
        StorageError::NoConditions { location: self.location.to_string(), path: self.path.clone(), reason }
    }

    pub(crate) fn overwritten(&self) -> StorageError {
        StorageError::Overwritten { location: self.location.to_string(), path: self.path.clone() }
    }

    pub(crate) fn out_of_range(&self, offset: u64, length: u64, size: u64) -> StorageError {
        StorageError::OutOfRange { location: self.location.to_string(), path: self.path.clone(), offset, length, size }
    }
}

/// What it means that work failed, at an object or at many.
pub(crate) fn failed(location: &str, path: &str, operation: &'static str, failure: Failure) -> StorageError {
    let (location, path) = (location.to_owned(), path.to_owned());
    let Failure { cause, attempts, elapsed, for_credentials, denied, .. } = failure;
    let gave_up = |source| StorageError::GaveUp {
        operation,
        location: location.clone(),
        path: path.clone(),
        attempts,
        elapsed,
        source,
    };
    match cause {
        Cause::Answer(fault) | Cause::Exhausted(fault) if for_credentials => {
            let reason = format!("no credentials are to be had: put keys into the environment ({fault})");
            StorageError::NoAccess { location, reason }
        }
        Cause::Answer(fault)
            if denied || matches!(fault, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) =>
        {
            StorageError::Denied { operation, location, path, reason: fault.to_string() }
        }
        Cause::Answer(fault) => {
            let kind = match &fault {
                Error::NotFound { .. } => io::ErrorKind::NotFound,
                Error::NotSupported { .. } | Error::NotImplemented { .. } => io::ErrorKind::Unsupported,
                _ => io::ErrorKind::Other,
            };
            StorageError::Io { operation, location, path, source: io::Error::new(kind, fault) }
        }
        Cause::Exhausted(fault) => gave_up(io::Error::other(fault)),
        Cause::Deadline => gave_up(io::Error::new(io::ErrorKind::TimedOut, "it took too long")),
    }
}
