//! The I/O engine: moves bytes between tensors and files.

mod ask;
mod encode;
mod read;
mod sums;
mod whole;
mod write;

pub(crate) use ask::answer;
pub(crate) use read::{Wanted, read};
pub(crate) use whole::{read_all, read_whole};
pub(crate) use write::write_file;
