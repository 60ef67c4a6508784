//! The command as a process: what it prints, and how it exits.

mod demo;
mod diff;
mod inspect;
mod status;
mod support;
mod verify;
