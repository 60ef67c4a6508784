//! PyTorch's own checkpoints. Nothing of what a pickle says is ever looked up or run.
//!
//! [`DcpFormat`] is the format of `torch.distributed.checkpoint`, [`TorchSaveFormat`] a single file of `torch.save`; both are read and written. The former's index is a pickle (`metadata`), read by a machine that only ever builds
//! data (`pickle`); each tensor and object is an archive of `torch.save` by itself (`archive`, `object`).

mod archive;
mod beside;
mod dcp;
#[cfg(fuzzing)]
pub mod fuzzing;
mod metadata;
mod object;
#[cfg(test)]
mod peak;
mod pickle;
mod saved;
mod tuples;

pub use dcp::DcpFormat;
pub use saved::TorchSaveFormat;
