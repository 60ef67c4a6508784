//! Which save an index is of.

use dcp_storage::{Generation, StorageError, StorePath};

use super::flaw::{corrupt, unreadable};
use super::states::Object;
use super::words::Words;
use crate::pickle::{Node, unpickle};

/// What an index says under `save_id`, where PyTorch has a random number and reads nothing.
pub(super) fn save_id(generation: Generation) -> String {
    format!("{PREFIX}{generation}")
}

/// The generation of an index: 0 if PyTorch has written it, whose files have the names of that.
///
/// # Errors
/// [`StorageError::Corrupt`] or [`StorageError::Unreadable`] if it is no index.
pub(crate) fn generation(path: &StorePath, index: &[u8]) -> Result<Generation, StorageError> {
    let mut words = Words::default();
    let (root, _) = unpickle(index, &mut words).map_err(|error| unreadable(path, error))?;
    let no_index = || corrupt(path, format!("it holds {}, no metadata", root.kind()));
    let Node::Object(root) = &root else { return Err(no_index()) };
    let root = root.borrow();
    let Object::Metadata(top) = &*root else { return Err(no_index()) };
    let Node::Object(meta) = &top.storage_meta else { return Ok(0) };
    let meta = meta.borrow();
    let Object::StorageMeta { save_id: Some(id) } = &*meta else { return Ok(0) };
    Ok(id.strip_prefix(PREFIX).and_then(|number| number.parse().ok()).unwrap_or(0))
}

const PREFIX: &str = "generation-";
