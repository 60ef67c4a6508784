//! PyTorch's distributed checkpoints: a directory of `.metadata` and `.distcp` files.

mod blob;
mod format;
mod head;
mod locate;
mod meta;
mod open;
mod opened;
mod stream;
mod summary;
mod write;

pub use format::DcpFormat;
