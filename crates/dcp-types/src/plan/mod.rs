//! Plans: what each rank has, who writes what, who reads what.

mod global;
mod local;
mod read;
mod wire;

pub use global::{GlobalPlan, Owners, WriteItem, WriteWhat};
pub use local::{Digest, PlanPart, RegionDecl, SavePlan, ShardingDecl, TensorDecl, ValueDecl};
pub use read::{ReadItem, ReadWhat};
