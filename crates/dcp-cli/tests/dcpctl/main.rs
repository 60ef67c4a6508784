//! The command as a process: what it prints, and how it exits.

mod consolidate;
mod convert;
mod demo;
mod diff;
mod gc;
mod inspect;
mod interrupt;
mod ls;
mod reshard;
mod status;
mod support;
mod verify;
