//! States made of what was loaded.

use dcp::crates::dcp_types::{StateLeaf, Tree};
use dcp::{Loaded, LoadedLeaf, LocalTensor, StateDict, TensorSpec};

/// The state that lends what was loaded.
pub(crate) fn state_of(loaded: &Loaded) -> StateDict<'_> {
    loaded.iter().map(|(key, node)| (key.clone(), node_of(node))).collect()
}

fn node_of(node: &Tree<LoadedLeaf>) -> Tree<StateLeaf<'_>> {
    match node {
        Tree::Dict(dict) => Tree::Dict(state_of(dict)),
        Tree::List(items) => Tree::List(items.iter().map(node_of).collect()),
        Tree::Tuple(items) => Tree::Tuple(items.iter().map(node_of).collect()),
        Tree::Leaf(LoadedLeaf::Value(value)) => Tree::Leaf(StateLeaf::Value(value.clone())),
        Tree::Leaf(LoadedLeaf::Tensor(tensor)) => {
            let spec = TensorSpec::replicated(tensor.dtype(), tensor.shape()).expect("a shape");
            LocalTensor::new(spec, tensor.view().expect("a view")).into()
        }
        Tree::Leaf(other) => panic!("{other:?} was not loaded"),
    }
}
