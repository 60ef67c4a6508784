//! Proptest strategies for the types of this crate (feature `proptest`).
//!
//! For property tests of whatever saves, loads or reshards. What they make is small, so that a test can check each
//! element, but has everything that goes wrong in large: empty tensors and shards, uneven cuts, replicas, ranks that are
//! not in a mesh, tilings that are no grid, names with dots in them. A case that fails shrinks to few dimensions,
//! few ranks and few cuts.
//!
//! ```
//! use dcp_types::strategies::{self, proptest};
//! use proptest::strategy::Strategy;
//! use proptest::test_runner::TestRunner;
//!
//! // However a tensor lies over a mesh, the ranks of one replica hold each element once.
//! let grids = strategies::shapes().prop_flat_map(|shape| strategies::shard_grids(&shape, 16));
//! TestRunner::default()
//!     .run(&grids, |grid| {
//!         let ranks = grid.mesh().ranks().filter(|&rank| {
//!             let coordinate = grid.mesh().coordinate_of(rank).unwrap();
//!             grid.replica_at(&coordinate) == 0
//!         });
//!         let held: u64 = ranks.flat_map(|rank| grid.held_by(rank)).map(|part| part.region.numel()).sum();
//!         proptest::prop_assert_eq!(held, grid.shape().numel());
//!         Ok(())
//!     })
//!     .unwrap();
//! ```

mod dtype;
mod mesh;
mod path;
mod placement;
mod plan;
mod region;
mod shape;
mod spec;
mod tiling;
mod tree;
mod value;

pub use dtype::dtypes;
pub use mesh::{meshes, sub_meshes};
pub use path::{dict_keys, state_paths};
pub use placement::{placements, shard_grids};
pub use plan::global_plans;
pub use region::{regions, regions_in};
pub use shape::{shapes, shapes_up_to};
pub use spec::tensor_specs;
pub use tiling::{Tiling, tilings};
pub use tree::state_trees;
pub use value::values;

/// The crate whose traits stand in signatures here.
pub use proptest;
