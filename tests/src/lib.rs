//! What the tests across the crates share: tensors whose every byte is known by formula, the ways in which ranks hold
//! them in memory, states made of them, stores that watch,
//! and a network that fails.

mod buffer;
mod case;
mod group;
mod holding;
mod proxy;
mod stores;
mod transforms;
mod trees;
mod whole;

pub use buffer::{Buffer, Layout, OwnedSource};
pub use case::{Case, Leaf, Options, Place, TensorCase, cases, group_pairs};
pub use group::{Group, groups};
pub use holding::{Holding, Part, holdings, mesh_holdings};
pub use proxy::{Fault, Proxy, Request};
pub use stores::{CountingStore, Reads, block_on, contents};
pub use transforms::{Coding, Sealed, codings};
pub use trees::{assert_same_tree, fold, map_tree, tensors_of, without_gaps};
pub use whole::Whole;
