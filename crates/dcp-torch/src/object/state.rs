//! A whole state as one pickle.

use bytes::Bytes;
use dcp_types::{DType, DictKey, Tree, Value};

use super::write::{NotStorable, Writer};
use super::write_tensor::PickledTensor;
use crate::archive::ArchiveWriter;

/// A leaf of a state.
pub(crate) enum StateLeaf<'v> {
    /// A row-major tensor that is all of a storage.
    Tensor {
        dtype: DType,
        shape: &'v [u64],
        key: usize,
    },
    Value(&'v Value),
}

/// A pickle, and the storages that values in it have.
pub(crate) struct StatePickle<'v> {
    pub(crate) pickle: Vec<u8>,
    /// Their keys are numbers from the first free one on.
    pub(crate) storages: Vec<&'v [u8]>,
}

/// The archive of a state of values.
pub(crate) fn encode_state(root: &Tree<Value>) -> Result<Bytes, NotStorable> {
    let StatePickle { pickle, storages } = pickle_state(&borrowed(root), 0)?;
    let mut archive = ArchiveWriter::new(&pickle);
    for (key, storage) in storages.into_iter().enumerate() {
        archive.storage(&key.to_string(), storage);
    }
    Ok(archive.finish().into())
}

/// Pickles a state. `free` is the number of the first storage that no tensor has.
pub(crate) fn pickle_state<'v>(root: &Tree<StateLeaf<'v>>, free: usize) -> Result<StatePickle<'v>, NotStorable> {
    let mut writer = Writer::new(free);
    node(&mut writer, root)?;
    Ok(StatePickle { pickle: writer.pickler.finish(), storages: writer.storages })
}

fn borrowed(tree: &Tree<Value>) -> Tree<StateLeaf<'_>> {
    match tree {
        Tree::Leaf(value) => Tree::Leaf(StateLeaf::Value(value)),
        Tree::Dict(items) => Tree::Dict(items.iter().map(|(key, item)| (key.clone(), borrowed(item))).collect()),
        Tree::List(items) => Tree::List(items.iter().map(borrowed).collect()),
        Tree::Tuple(items) => Tree::Tuple(items.iter().map(borrowed).collect()),
    }
}

fn node<'v>(writer: &mut Writer<'v>, tree: &Tree<StateLeaf<'v>>) -> Result<(), NotStorable> {
    match tree {
        Tree::Leaf(StateLeaf::Value(value)) => writer.value(value, 1),
        Tree::Leaf(StateLeaf::Tensor { dtype, shape, key }) => {
            Ok(PickledTensor::write_whole(&mut writer.pickler, *dtype, shape, &key.to_string())?)
        }
        Tree::Dict(items) => {
            let items: Vec<_> = items.iter().collect();
            writer.pickler.empty_dict();
            writer.entries(&items, |writer, (key, item)| {
                match key {
                    DictKey::Str(text) => writer.pickler.text(text)?,
                    DictKey::Int(number) => writer.pickler.int(*number),
                }
                node(writer, item)
            })
        }
        Tree::List(items) => {
            writer.pickler.empty_list();
            writer.items(items, node)
        }
        Tree::Tuple(items) => {
            if items.len() > 3 {
                writer.pickler.mark();
            }
            items.iter().try_for_each(|item| node(writer, item))?;
            writer.pickler.tuple(items.len());
            Ok(())
        }
    }
}
