//! Plans: what each rank has, who writes what, who reads what.

mod global;
mod local;
mod outline;
mod parcels;
mod rank;
mod read;
mod wire;

pub use global::{GlobalPlan, Owners};
pub use local::{Digest, PlanPart, RegionDecl, SavePlan, ShardingDecl, TensorDecl, ValueDecl};
pub use outline::{Outline, TensorType};
pub use parcels::{CommonPlan, OwnChunks};
pub use rank::{RankPlan, WriteItem, WriteWhat};
pub use read::{ReadItem, ReadWhat};
