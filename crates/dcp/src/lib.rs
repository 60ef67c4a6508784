//! Distributed checkpoints: many ranks save one training state in parallel, each its own shards; any other set of ranks, on
//! any other mesh, loads it back, each reading just the bytes that it needs.
//!
//! [`save`] and [`load`] do the common thing for a single process; [`Saver`] and [`Loader`] have all the choices;
//! [`Checkpoint`] looks into a checkpoint; [`Catalog`] lists those below a place; [`Auditor`] finds out whether it is whole and sound; [`Comparer`], in what two differ;
//! [`Converter`] writes one anew in another form; [`Cleaner`] removes what saves have left that came to no end.

mod audit;
mod catalog;
mod checkpoint;
mod clean;
mod convert;
mod diff;
mod error;
mod formats;
mod group;
mod load;
mod location;
mod opener;
mod pattern;
mod report;
mod save;

pub use audit::{Audit, Auditor, Defect, Foreign, Verdict};
pub use catalog::{Catalog, CatalogState, Cataloged};
pub use checkpoint::Checkpoint;
pub use clean::{Cleaner, Cleaning};
pub use convert::{Cancel, ConvertProgress, ConvertReport, Converter, LightningForm};
pub use diff::{Comparer, Comparison, Difference, Elements, Mismatch, Outcome, Side, Unreadable};
pub use error::Error;
pub use load::Loader;
pub use location::Location;
pub use opener::Opener;
pub use report::{LoadReport, SaveReport};
pub use save::Saver;

pub use dcp_collective::{Collective, CollectiveError, SingleProcess, Subgroup, ThreadGroup, ThreadRank};
pub use dcp_default_planner::{Dedup, DefaultLoadPlanner, DefaultSavePlanner, DifferingValues};
#[cfg(feature = "fs")]
pub use dcp_fs::{Durability, LocalStore};
#[cfg(feature = "native")]
pub use dcp_native::NativeFormat;
pub use dcp_planner::{LoadPlanner, PlanError, Problem, SavePlanner};
#[cfg(feature = "s3")]
pub use dcp_s3::{Access, Bucket, KeyLayout, Traffic};
pub use dcp_stateful::{
    AppState, FromValue, Stateful, StatefulError, part, part_mut, value, value_if_loaded, whole, whole_mut,
};
#[cfg(feature = "zstd")]
pub use dcp_storage::Zstd;
pub use dcp_storage::{
    Checksum, Coder, ComposedReader, ComposedWriter, Finding, Format, Kept, Leftover, LeftoverKind, MemoryStore,
    OneObject, Precondition, ReadReport, StorageError, StorageReader, StorageWriter, Store, StorePath, StreamTransform,
    Subdirectory, Transforms, Verify, WriteReport,
};
#[cfg(feature = "torch")]
pub use dcp_torch::{DcpFormat, TorchSaveFormat};
pub use dcp_types::{
    BufferPlace, DType, DataSink, DataSource, DeviceMesh, DictKey, Fqn, HeldPart, Loaded, LoadedLeaf, LocalTensor,
    Metadata, OwnedTensor, Placement, Region, Shape, StateDict, StateTarget, TargetLeaf, TargetTensor, TensorSpec,
    TypesError, Value, View, ViewMut,
};

/// The crates that this one is made of, for those who extend it.
pub mod crates {
    #[cfg(feature = "s3")]
    pub use dcp_s3;
    pub use {dcp_collective, dcp_default_planner, dcp_planner, dcp_stateful, dcp_storage, dcp_types};
}

/// Saves the state of an object from a single process.
///
/// # Errors
/// As [`Saver::save_to`].
pub fn save<S: Stateful + ?Sized>(state: &S, to: impl Into<Location>) -> Result<SaveReport, Error> {
    Saver::new().save(state, to)
}

/// Loads the state of an object into a single process, in place.
///
/// # Errors
/// As [`Loader::load_from`].
pub fn load<S: Stateful + ?Sized>(state: &mut S, from: impl Into<Location>) -> Result<LoadReport, Error> {
    Loader::new().load(state, from)
}

/// The program in the README, so that it is tested.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
