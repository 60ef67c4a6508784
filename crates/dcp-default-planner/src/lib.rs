//! The planners that most programs use.
//!
//! [`DefaultSavePlanner`] stores every element once, whoever holds copies of it, and shares the work evenly among the ranks.
//! [`DefaultLoadPlanner`] fills each rank's buffers from whatever chunks a checkpoint has: saved by any number of ranks,
//! loaded by any other.

mod cast;
mod declare;
mod global;
mod load;
mod resolve;
mod save;

pub use cast::{Conversion, cast, conversion, converts};
pub use load::DefaultLoadPlanner;
pub use save::{Dedup, DefaultSavePlanner, DifferingValues};
