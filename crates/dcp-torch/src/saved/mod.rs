//! Files of `torch.save` that hold a whole state: by themselves, or beside a distributed checkpoint.

mod assemble;
mod file;
mod format;
#[cfg(any(test, fuzzing))]
mod in_memory;
mod legacy;
#[cfg(test)]
mod legacy_tests;
mod locate;
mod objects;
mod opened;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use file::SavedFile;
pub use format::TorchSaveFormat;
#[cfg(fuzzing)]
pub(crate) use in_memory::read_all;
pub(crate) use locate::LocateSaved;
pub(crate) use read::ReadSaved;
