//! The types of distributed checkpoints.
//!
//! Who knows PyTorch's Distributed Checkpoint (DCP) knows these: a state dict of tensors and values ([`StateDict`]);
//! tensors that lie over a [`DeviceMesh`] by [`Placement`]s ([`TensorSpec`]); plans of who writes and reads what
//! ([`GlobalPlan`], [`ReadItem`]); [`Metadata`] of what a checkpoint holds. There is no I/O here.
//!
//! All indexes are 64-bit and checked where they enter: a [`Shape`] or [`Region`] cannot overflow.

mod chunks;
mod dtype;
mod element;
mod error;
mod mesh;
mod metadata;
mod name;
mod placement;
mod plan;
mod ranks;
mod region;
mod runs;
mod shape;
mod slabs;
mod source;
mod spec;
mod state;
#[cfg(feature = "proptest")]
pub mod strategies;
mod value;
mod view;

pub use chunks::{Chunk, ChunkList, Chunks, HeldRegion, ShardGrid};
pub use dtype::DType;
pub use element::{Element, ElementMut};
pub use error::TypesError;
pub use mesh::DeviceMesh;
pub use metadata::{Entry, EntryKind, Metadata, TensorEntry};
pub use name::{DictKey, Fqn, Segment, StatePath};
pub use placement::Placement;
pub use plan::{
    CommonPlan, Digest, GlobalPlan, Outline, OwnChunks, Owners, PlanPart, RankPlan, ReadItem, ReadWhat, RegionDecl,
    SavePlan, ShardingDecl, TensorDecl, TensorType, ValueDecl, WriteItem, WriteWhat,
};
pub use ranks::{Rank, RankSet};
pub use region::Region;
pub use runs::Runs;
pub use shape::Shape;
pub use slabs::Slabs;
pub use source::{BufferPlace, DataError, DataSink, DataSource, Dest, Source};
pub use spec::{HeldPart, Sharding, TensorSpec};
pub use state::{
    Dict, Flat, FlatState, FlatTarget, Loaded, LoadedLeaf, LocalTensor, MAX_DEPTH, OwnedTensor, StateDict, StateLeaf,
    StateTarget, TargetLeaf, TargetTensor, Tree, flatten_state, flatten_target, unflatten,
};
pub use value::{Opaque, TensorRuns, TensorValue, Typed, Value};
pub use view::{View, ViewMut};

/// The crates whose types stand in public signatures here.
pub mod reexports {
    pub use {bytes, half, indexmap, ndarray, num_complex};
}
