//! State trees: what is saved, what is to be loaded, what was loaded.

mod leaves;
mod tree;

pub use leaves::{
    FlatState, FlatTarget, Loaded, LoadedLeaf, LocalTensor, OwnedTensor, StateDict, StateLeaf, StateTarget, TargetLeaf,
    TargetTensor, flatten_state, flatten_target,
};
pub use tree::{Dict, Flat, MAX_DEPTH, Tree, unflatten};
