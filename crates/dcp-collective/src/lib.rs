//! How the ranks of a training job talk while they save and load a checkpoint.
//!
//! Two layers, and a caller usually meets just the upper one:
//!
//! * [`Exchange`] runs the steps that PyTorch's `_DistWrapper` has ([`all_reduce`](Exchange::all_reduce),
//!   [`reduce_scatter`](Exchange::reduce_scatter), [`broadcast`](Exchange::broadcast), ...), and keeps two promises in
//!   each: *an error on one rank is an error on all*, and *nothing hangs*: a rank that makes no progress for a set time,
//!   that panics or that leaves is named on every other rank.
//! * [`Collective`] is what a transport must provide: point-to-point messages with tags. [`SingleProcess`] is a job of
//!   one rank, [`ThreadGroup`] makes ranks of threads, [`Subgroup`] cuts some ranks out of a larger collective. Another
//!   transport implements the trait and proves itself with the suite behind the feature `conformance`.
//!
//! # Example
//!
//! Four ranks count what they hold; the coordinator adds up; all of them get the sum.
//!
//! ```
//! use std::{io, time::Duration};
//! use dcp_collective::{Collective, Exchange, StepError, ThreadGroup};
//!
//! let totals = ThreadGroup::run(4, |rank| {
//!     let mut exchange = Exchange::new(&rank, 0, Duration::from_secs(60))?;
//!     let total = exchange.all_reduce(
//!         "count tensors",
//!         |progress| {
//!             let mut tensors = 0;
//!             for _ in 0..10 {
//!                 tensors += 1;
//!                 progress.advance(1); // still moving, however long this takes
//!             }
//!             Ok(tensors)
//!         },
//!         |counts: Vec<u64>, _| Ok(counts.iter().sum::<u64>()),
//!     )?;
//!     exchange.finish();
//!     Ok::<u64, StepError<io::Error>>(total)
//! });
//! for total in totals {
//!     assert_eq!(total.expect("no rank panicked")?, 40);
//! }
//! # Ok::<(), StepError<io::Error>>(())
//! ```
//!
//! When a step fails, the rank where it went wrong gets its own error back, typed, and all the others get one that names
//! that rank:
//!
//! ```
//! use std::{io, time::Duration};
//! use dcp_collective::{Collective, CollectiveError, Exchange, StepError, ThreadGroup};
//!
//! let outcomes = ThreadGroup::run(3, |rank| {
//!     let mut exchange = Exchange::new(&rank, 0, Duration::from_secs(60))?;
//!     exchange.all_gather("open", |_| match rank.rank() {
//!         2 => Err(io::Error::other("disk on fire")),
//!         mine => Ok(mine),
//!     })
//! });
//! for (rank, outcome) in outcomes.into_iter().enumerate() {
//!     match outcome.expect("no rank panicked") {
//!         Err(StepError::Own(error)) => assert_eq!((rank, error.to_string().as_str()), (2, "disk on fire")),
//!         Err(StepError::Collective(CollectiveError::Failed { failures, .. })) => assert_eq!(failures[0].rank, 2),
//!         other => panic!("{other:?}"),
//!     }
//! }
//! ```

mod collective;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod exchange;
mod failure;
mod mix;
mod progress;
mod single;
mod subgroup;
mod tag;
mod threads;

pub use collective::Collective;
pub use error::{CollectiveError, Departure, StepError};
pub use exchange::Exchange;
pub use failure::{RankFailure, WireError};
pub use progress::Progress;
pub use single::SingleProcess;
pub use subgroup::Subgroup;
pub use tag::{Tag, TagSource};
pub use threads::{ThreadGroup, ThreadRank};
