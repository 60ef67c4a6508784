//! A whole state as one pickle.

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

/// Pickles a state. `free` is the number of the first storage that no tensor has.
pub(crate) fn pickle_state(root: &Tree<StateLeaf<'_>>, free: usize) -> Result<WrittenObject, NotStorable> {
    let mut writer = ObjectWriter::new(free);
    node(&mut writer, root)?;
    Ok(writer.finish())
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
