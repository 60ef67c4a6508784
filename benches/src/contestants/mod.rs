//! Who takes part in several comparisons.

pub(crate) mod ours;
pub(crate) mod plain;
mod python;
mod state;
mod torch;

pub(crate) use self::python::{Python, printed};
pub(crate) use self::state::{Shape, State, WRONG};
pub(crate) use self::torch::TorchRanks;

/// The name of a contestant.
pub(crate) type Who = &'static str;

/// The machine's own limit: the same bytes, without any checkpoint.
pub(crate) const PLAIN: Who = "plain";
/// This system.
pub(crate) const DCP: Who = "dcp";
/// This system, without checksums.
pub(crate) const UNCHECKED: Who = "unchecked";
/// PyTorch's DCP.
pub(crate) const TORCH: Who = "PyTorch";
