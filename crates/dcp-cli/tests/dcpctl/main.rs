//! The command as a process: what it prints, and how it exits.

mod bench;
#[cfg(feature = "s3")]
mod buckets;
mod consolidate;
mod convert;
mod demo;
mod diff;
mod gc;
mod inspect;
mod interrupt;
mod ls;
mod reshard;
#[cfg(feature = "s3")]
mod servers;
mod status;
mod support;
mod verify;
