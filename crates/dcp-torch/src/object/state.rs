//! A whole state as one pickle.

use bytes::Bytes;
use dcp_types::{DType, DictKey, Tree, Value};

use super::write::{NotStorable, ObjectWriter, WrittenObject};
use super::write_tensor::PickledTensor;

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

/// The archive of a state of values.
pub(crate) fn encode_state(root: &Tree<Value>) -> Result<Bytes, NotStorable> {
    Ok(pickle_state(&borrowed(root), 0)?.into_archive())
}

/// Pickles a state. `free` is the number of the first storage that no tensor has.
pub(crate) fn pickle_state(root: &Tree<StateLeaf<'_>>, free: usize) -> Result<WrittenObject, NotStorable> {
    let mut writer = ObjectWriter::new(free);
    node(&mut writer, root)?;
    Ok(writer.finish())
}

fn borrowed(tree: &Tree<Value>) -> Tree<StateLeaf<'_>> {
    match tree {
        Tree::Leaf(value) => Tree::Leaf(StateLeaf::Value(value)),
        Tree::Dict(items) => Tree::Dict(items.iter().map(|(key, item)| (key.clone(), borrowed(item))).collect()),
        Tree::List(items) => Tree::List(items.iter().map(borrowed).collect()),
        Tree::Tuple(items) => Tree::Tuple(items.iter().map(borrowed).collect()),
    }
}

fn node(writer: &mut ObjectWriter, tree: &Tree<StateLeaf<'_>>) -> Result<(), NotStorable> {
    match tree {
        Tree::Leaf(StateLeaf::Value(value)) => writer.value(value),
        Tree::Leaf(StateLeaf::Tensor { dtype, shape, key }) => {
            Ok(PickledTensor::write_whole(writer.pickler(), *dtype, shape, &key.to_string())?)
        }
        Tree::Dict(items) => {
            let items: Vec<_> = items.iter().collect();
            writer.pickler().empty_dict();
            writer.entries(&items, |writer, (key, item)| {
                match key {
                    DictKey::Str(text) => writer.pickler().text(text)?,
                    DictKey::Int(number) => writer.pickler().int(*number),
                }
                node(writer, item)
            })
        }
        Tree::List(items) => {
            writer.pickler().empty_list();
            writer.items(items, node)
        }
        Tree::Tuple(items) => {
            if items.len() > 3 {
                writer.pickler().mark();
            }
            items.iter().try_for_each(|item| node(writer, item))?;
            writer.pickler().tuple(items.len());
            Ok(())
        }
    }
}
