//! What Lightning saves beside the tensors: everything else of the state (`lightning/fabric/strategies/fsdp.py`, `_METADATA_FILENAME`).

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use dcp_storage::{StorageError, StorePath};
use dcp_types::{DictKey, Entry, Opaque, Outline, Segment, Value, unflatten};

use super::format::unsupported;
use crate::object::{ENCODING, encode_state};

/// The name of the file.
pub(super) fn path() -> StorePath {
    match StorePath::parse("meta.pt") {
        Ok(path) => path,
        Err(_) => unreachable!("a constant that is a valid path"),
    }
}

/// The entries that go there: values under keys of the state that are neither a model's nor an optimizer's.
pub(super) fn values(outline: &Outline) -> BTreeSet<usize> {
    let with_tensors: HashSet<&DictKey> = outline
        .entries()
        .filter(|(_, entry)| entry.as_tensor().is_some())
        .filter_map(|(_, entry)| key(entry))
        .collect();
    let is_sharded = |key: &DictKey| {
        let is_named = |text: &str| text.starts_with("model") || text.starts_with("optimizer");
        with_tensors.contains(key) || matches!(key, DictKey::Str(text) if is_named(text))
    };
    let entries = outline.entries().enumerate();
    entries.filter(|(_, (_, entry))| !key(entry).is_some_and(is_sharded)).map(|(number, _)| number).collect()
}

/// The file with these values.
pub(super) fn encode(outline: &Outline, values: &[(usize, Bytes)]) -> Result<Bytes, StorageError> {
    let archive = |bytes: &Bytes| Opaque { encoding: ENCODING.into(), bytes: bytes.clone(), globals: Vec::new() };
    let leaf = |(number, bytes): &(usize, Bytes)| {
        let (_, entry) = outline.entry(*number).ok_or_else(|| unsupported(format!("entry {number} of fewer")))?;
        Ok((entry.path.clone(), Value::Opaque(archive(bytes))))
    };
    let leaves = values.iter().map(leaf).collect::<Result<Vec<_>, StorageError>>()?;
    let state = unflatten(leaves).map_err(|fault| unsupported(fault.to_string()))?;
    encode_state(&state.into()).map_err(|fault| unsupported(fault.to_string()))
}

/// Under which key of the state an entry is.
fn key<T>(entry: &Entry<T>) -> Option<&DictKey> {
    match entry.path.segments().first() {
        Some(Segment::Key(key)) => Some(key),
        _ => None,
    }
}
