//! Files of `torch.save` that hold a whole state: by themselves, or beside a distributed checkpoint.

mod file;
mod format;
mod locate;
mod opened;
mod read;
mod write;

pub(crate) use file::SavedFile;
pub use format::TorchSaveFormat;
pub(crate) use locate::LocateSaved;
pub(crate) use read::ReadSaved;
