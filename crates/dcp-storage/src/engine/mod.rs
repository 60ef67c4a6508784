//! The I/O engine: moves bytes between tensors and files.

mod ask;
mod encode;
mod pieces;
mod place;
mod read;
mod run_sum;
mod sums;
mod whole;
mod write;

pub(crate) use ask::answer;
pub(crate) use place::{Whole, place_chunk};
pub(crate) use read::{Wanted, read};
pub(crate) use run_sum::checksum;
pub(crate) use whole::read_whole;
pub(crate) use write::write_file;
