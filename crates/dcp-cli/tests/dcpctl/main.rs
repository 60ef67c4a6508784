//! The command as a process: what it prints, and how it exits.

mod convert;
mod demo;
mod diff;
mod inspect;
mod interrupt;
mod reshard;
mod status;
mod support;
mod verify;
