//! The I/O engine: moves bytes between tensors and files.

mod ask;
mod read;
mod write;

pub(crate) use ask::answer;
pub(crate) use read::{Wanted, read};
pub(crate) use write::write_file;
