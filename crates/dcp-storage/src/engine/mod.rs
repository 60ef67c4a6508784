//! The I/O engine: moves bytes between tensors and files.

mod ask;
mod pieces;
mod place;
mod read;
mod sum;
mod whole;
mod write;

pub(crate) use ask::answer;
pub(crate) use place::{Whole, place_chunk};
pub(crate) use read::{Wanted, read};
pub(crate) use sum::checksum;
pub(crate) use whole::{read_all, read_whole};
pub(crate) use write::write_file;
