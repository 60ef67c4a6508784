//! What a writer hands over to itself on another rank.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StorageError;

pub(super) fn encode<T: Serialize>(what: &T) -> Result<Bytes, StorageError> {
    rmp_serde::to_vec(what).map(Bytes::from).map_err(|fault| foreign(&fault))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    rmp_serde::from_slice(bytes).map_err(|fault| foreign(&fault))
}

/// Something that another writer has made.
fn foreign(fault: &dyn std::error::Error) -> StorageError {
    StorageError::Unsupported { format: "token", what: fault.to_string() }
}
