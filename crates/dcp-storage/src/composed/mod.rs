//! A writer and a reader made of any format and any store.

mod claim;
mod companions;
mod encoding;
mod in_order;
mod journal;
mod leftovers;
mod named;
mod one_file;
mod reader;
mod resumable;
mod traces;
mod wire;
mod writer;

pub use leftovers::{Kept, Leftover, LeftoverKind, Leftovers};
pub use reader::{ComposedReader, recognise};
pub use resumable::ResumableSave;
pub use writer::ComposedWriter;
