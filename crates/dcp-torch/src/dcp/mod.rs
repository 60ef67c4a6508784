//! PyTorch's distributed checkpoints: a directory of `.metadata` and `.distcp` files.

mod blob;
mod companion;
mod format;
mod head;
mod join;
mod locate;
mod open;
mod opened;
mod stream;
#[cfg(test)]
mod stream_tests;
mod summary;
mod write;

pub use format::DcpFormat;

/// Reads the beginning of an archive.
#[cfg(fuzzing)]
pub(crate) fn read_head(bytes: &[u8]) -> bool {
    head::Head::read(bytes).is_ok()
}
