//! A writer and a reader made of any format and any store.

mod claim;
mod reader;
mod writer;

pub use reader::ComposedReader;
pub use writer::ComposedWriter;
