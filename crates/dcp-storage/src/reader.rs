//! The plug for loading.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dcp_types::{Dest, Digest, Metadata, ReadItem, Value};

use crate::{Io, ReadReport, StorageError};

/// Reads a checkpoint; DCP's `StorageReader`.
///
/// [`ComposedReader`](crate::ComposedReader) makes one of a [`Format`](crate::Format) and a [`Store`](crate::Store);
/// anybody may implement one directly.
///
/// # Contract
/// Each clause is some tests of the conformance suite (feature `conformance`, `plug_conformance!`).
///
/// * `read_metadata` comes first, and `read_data` before it fails. It may come again, for what is there then.
/// * `read_data` reads from the checkpoint that `read_metadata` found last, or fails with [`StorageError::Overwritten`]. It may
///   be called by several threads at once.
/// * `read_data` has filled every destination completely when it returns `Ok`, and touches none after it has returned.
/// * Bytes that fail a check, or that are not there, are errors; nothing is filled in for them. So is a destination of another
///   size or shape than the item's. A reader that has nothing to check may refuse [`Dest::Discard`].
#[async_trait]
pub trait StorageReader: Send + Sync {
    /// What the checkpoint holds.
    ///
    /// # Errors
    /// [`StorageError::NoCheckpoint`], [`StorageError::Corrupt`], and whatever the storage reports.
    async fn read_metadata(&self, io: &Io<'_>) -> Result<Found, StorageError>;

    /// Checks that items are there, whole, before memory is taken for them.
    ///
    /// # Errors
    /// As [`read_data`](Self::read_data).
    async fn check(&self, items: &[ReadItem], io: &Io<'_>) -> Result<(), StorageError> {
        let _ = (items, io);
        Ok(())
    }

    /// Decodes the bytes of the value that is this entry of the metadata.
    ///
    /// # Errors
    /// [`StorageError::BadValue`] if they do not decode.
    fn decode_value(&self, entry: usize, bytes: Bytes) -> Result<Value, StorageError> {
        let _ = entry;
        Value::decode(&bytes).map_err(|fault| StorageError::BadValue { reason: fault.to_string() })
    }

    /// Reads items into their destinations.
    ///
    /// # Errors
    /// [`StorageError::Damaged`], [`StorageError::Overwritten`], and whatever the storage or a destination reports.
    async fn read_data(&self, items: Vec<(ReadItem, Dest<'_>)>, io: &Io<'_>) -> Result<ReadReport, StorageError>;
}

/// A checkpoint that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it holds.
    pub metadata: Arc<Metadata>,
    /// Stands for this very checkpoint: ranks that read the same one have the same.
    pub fingerprint: Digest,
    /// Bytes read to find out.
    pub overhead: u64,
}
