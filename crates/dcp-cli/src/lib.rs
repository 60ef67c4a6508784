//! The command `dcpctl`: look into, check, compare, convert and try out distributed checkpoints.
//!
//! It is a library too, so that who has a store of their own can build the same command with one more URL scheme:
//!
//! ```
//! use std::sync::Arc;
//! use dcp::{MemoryStore, Saver, StateDict};
//! use dcp_cli::{Dcpctl, Status};
//!
//! let store = MemoryStore::new();
//! Saver::new().save_dict(&StateDict::new().with("step", 7), store.clone())?;
//!
//! let (mut out, mut err) = (Vec::new(), Vec::new());
//! let dcpctl = Dcpctl::new().scheme("vendor", move |_url| Ok(Arc::new(store.clone())));
//! let status = dcpctl.run(["dcpctl", "inspect", "vendor://run-1/step-7"], &mut out, &mut err);
//! assert_eq!(status, Status::Fine);
//! assert!(String::from_utf8_lossy(&out).contains("step"));
//! # Ok::<(), dcp::Error>(())
//! ```

mod args;
mod bench;
mod columns;
mod command;
mod consolidate;
mod convert;
mod demo;
mod diff;
mod failure;
mod gc;
mod inspect;
mod ls;
mod reshard;
mod units;
mod verify;

pub use command::{Dcpctl, Opener, Status};
