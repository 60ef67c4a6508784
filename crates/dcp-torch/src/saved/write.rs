//! Lays out a file that all ranks write together: storages first, whose places follow from the plan, then the pickle with all values.

use std::collections::HashMap;

use bytes::Bytes;
use dcp_storage::{OneFile, Piece, Pieces, PlacedChunk, StorageError, Written};
use dcp_types::{
    DictKey, Fqn, Opaque, Outline, RankPlan, Segment, StatePath, TensorType, Tree, Value, WriteItem, WriteWhat,
    unflatten,
};

use super::TorchSaveFormat;
use crate::archive::ArchiveWriter;
use crate::object::{self, StateLeaf, pickle_state};

impl OneFile for TorchSaveFormat {
    fn place(&self, plan: &RankPlan) -> Result<Vec<PlacedChunk>, StorageError> {
        let (outline, places) = (plan.outline(), places(plan.outline()));
        let is_stored = |item: &&WriteItem| item.what != WriteWhat::Value && !outline.ties().contains_key(&item.entry);
        let chunks = plan.items().iter().filter(is_stored);
        let placed = |item: &WriteItem| match places.get(&item.entry) {
            Some(&tensor) => Ok(PlacedChunk { item: item.clone(), tensor }),
            None => Err(unsupported(format!("an item of entry {}, which is no tensor", item.entry))),
        };
        chunks.map(placed).collect()
    }

    fn pieces<'a>(&self, outline: &'a Outline, written: &'a dyn Written) -> Result<Pieces<'a>, StorageError> {
        let values = values(outline, written.values())?;
        let keys: HashMap<usize, usize> = stored(outline).enumerate().map(|(key, (entry, _))| (entry, key)).collect();
        let free = keys.len();
        let tree = tree(outline, |entry, tensor| match tensor {
            Some(tensor) => {
                let key = *keys.get(outline.ties().get(&entry).unwrap_or(&entry))?;
                Some(StateLeaf::Tensor { dtype: tensor.dtype, shape: tensor.shape.dims(), key })
            }
            None => values.get(&entry).map(StateLeaf::Value),
        })?;
        let state = pickle_state(&tree, free).map_err(|fault| unsupported(fault.to_string()))?;
        let (mut tensors, mut before, mut position) = (stored(outline).enumerate(), None, 0);
        let mut unfinished = Some((ArchiveWriter::storages_first(), state));
        Ok(Box::new(std::iter::from_fn(move || {
            let (mut archive, state) = unfinished.take()?;
            if let Some(entry) = before {
                archive.end_storage(written.checksum(entry));
            }
            let offset = position;
            let Some((key, (entry, tensor))) = tensors.next() else {
                archive.pickle(&state.pickle);
                for (key, storage) in state.storages {
                    archive.storage(&key.to_string(), &storage);
                }
                return Some(Piece { offset, bytes: archive.finish().into() });
            };
            let head = archive.begin_storage(&key.to_string(), tensor.nbytes());
            position += head.len() as u64 + tensor.nbytes();
            (before, unfinished) = (Some(entry), Some((archive, state)));
            Some(Piece { offset, bytes: head.into() })
        })))
    }
}

/// Refuses a state whose places do not make one tree.
pub(super) fn check(outline: &Outline) -> Result<(), StorageError> {
    tree(outline, |_, _| Some(())).map(drop)
}

/// A value on its way to the one pickle. With tensors in it, it becomes an archive first, in which those that share memory go on to.
pub(super) fn encode_value(fqn: &Fqn, value: &Value) -> Result<Bytes, StorageError> {
    // Who cannot express it finds out here, where its name is known.
    let archive = object::encode(value).map_err(|fault| unsupported(format!("{fqn}: {fault}")))?;
    let encoded = match value.tensor_bytes() {
        0 => value.encode(),
        _ => {
            let encoding = object::ENCODING.into();
            Value::Opaque(Opaque { encoding, bytes: archive, globals: Vec::new() }).encode()
        }
    };
    encoded.map_err(|fault| unsupported(format!("{fqn}: {fault}")))
}

/// The byte at which each tensor starts, by the number of its entry.
fn places(outline: &Outline) -> HashMap<usize, u64> {
    let (mut archive, mut position) = (ArchiveWriter::storages_first(), 0);
    let place = |(key, (entry, tensor)): (usize, (usize, &TensorType))| {
        let start = position + archive.begin_storage(&key.to_string(), tensor.nbytes()).len() as u64;
        // How long what follows is does not depend on the checksum.
        archive.end_storage(0);
        position = start + tensor.nbytes();
        (entry, start)
    };
    stored(outline).enumerate().map(place).collect()
}

/// The tensors with the numbers of their entries, once under all their names. Each is a storage, whose key is its number among them.
fn stored(outline: &Outline) -> impl Iterator<Item = (usize, &TensorType)> {
    let tensors = outline.entries().enumerate();
    let tensors = tensors.filter_map(|(number, (_, entry))| Some((number, entry.as_tensor()?)));
    tensors.filter(|(number, _)| !outline.ties().contains_key(number))
}

fn values(outline: &Outline, encoded: &[(usize, Bytes)]) -> Result<HashMap<usize, Value>, StorageError> {
    let decode = |(entry, bytes): &(usize, Bytes)| {
        let name = || outline.name(*entry);
        let value = Value::decode(bytes);
        Ok((*entry, value.map_err(|fault| unsupported(format!("{}: {fault}", name())))?))
    };
    encoded.iter().map(decode).collect()
}

/// The state with a leaf for each entry, which is made of its number, and of the tensor if it is one.
fn tree<'m, L>(
    outline: &'m Outline,
    mut leaf: impl FnMut(usize, Option<&'m TensorType>) -> Option<L>,
) -> Result<Tree<L>, StorageError> {
    let mut leaves = Vec::with_capacity(outline.len());
    for (number, (fqn, entry)) in outline.entries().enumerate() {
        let leaf = leaf(number, entry.as_tensor())
            .ok_or_else(|| unsupported(format!("{fqn}, of which nothing was written")))?;
        leaves.push((below_root(&entry.path), leaf));
    }
    let mut root = unflatten(leaves).map_err(|fault| unsupported(fault.to_string()))?;
    Ok(root.take(ROOT).unwrap_or_else(|| Tree::Dict(root)))
}

/// A file may hold a list, or just a tensor: the root is no dict then.
const ROOT: &str = "";

fn below_root(path: &StatePath) -> StatePath {
    let root = Segment::Key(DictKey::Str(ROOT.into()));
    StatePath::new(std::iter::once(root).chain(path.segments().iter().cloned()).collect::<Vec<_>>())
}

fn unsupported(what: String) -> StorageError {
    StorageError::Unsupported { format: "torch-save", what }
}
