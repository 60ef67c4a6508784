//! A writer and a reader made of any format and any store.

mod claim;
mod companions;
mod encoding;
mod one_file;
mod reader;
mod writer;

pub use reader::{ComposedReader, recognise};
pub use writer::ComposedWriter;
