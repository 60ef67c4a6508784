//! Planning: who writes, and who reads, which part of which tensor.
//!
//! A save is planned by a [`SavePlanner`], a load by a [`LoadPlanner`]. Both work in two steps, as in PyTorch's
//! Distributed Checkpoint: each rank says what it has or wants (`local_plan`), and the coordinator decides for all of them
//! (`global_plan`). Planners do no I/O and no communication, and they hold no state dict: they are handed one, so
//! that the same planner can be kept for every checkpoint of a run.
//!
//! The planners that most programs use are in `dcp-default-planner`. Write one of your own to keep something out of a
//! checkpoint, to place chunks on chosen ranks, to convert what is read; best by wrapping a default planner and
//! changing one step.

mod context;
mod cut;
mod declarations;
mod entries;
mod error;
mod load;
mod problem;
mod reads;
mod save;

pub use context::{Declared, PlanContext};
pub use cut::cut_target;
pub use declarations::{Declarations, PartDigests};
pub use entries::EntrySet;
pub use error::PlanError;
pub use load::LoadPlanner;
pub use problem::{LeafKind, Problem};
pub use reads::{LoadPlan, PartRead, RegionRead, TensorRead, ValueRead};
pub use save::SavePlanner;
