//! The storage traits of distributed checkpoints, and what joins them.

mod checksum;
mod commons;
mod composed;
#[cfg(feature = "conformance")]
pub mod conformance;
mod engine;
mod error;
mod format;
mod io;
mod memory;
mod names;
mod one_object;
mod path;
mod reader;
mod report;
mod shared;
mod store;
mod subdirectory;
mod transform;
mod whole;
mod writer;

pub use checksum::Checksum;
pub use commons::Commons;
pub use composed::{ComposedReader, ComposedWriter, Kept, Leftover, LeftoverKind, Leftovers, ResumableSave, recognise};
pub use error::StorageError;
pub use format::{
    Ask, BlockChecks, Companions, Decoded, Decoder, Encoded, Extent, FileLayout, Finding, Format, Late, Layout,
    Locator, Need, OneFile, OpenedCheckpoint, Piece, Pieces, PlacedChunk, PostStep, Reply, Segment, Step, Stream,
    StreamCodec, Strictness, Written, WrittenFile, WrittenSegment,
};
pub use io::{Io, Verify};
pub use memory::MemoryStore;
pub use names::{DataName, Generation, Role};
pub use one_object::OneObject;
pub use path::StorePath;
pub use reader::{Found, StorageReader};
pub use report::{ReadReport, WriteReport};
pub use shared::{SharedUpload, SharedUploads, UploadId};
pub use store::{Look, ObjectMeta, Precondition, ReadRange, Store, StoreTraits, Upload, Version};
pub use subdirectory::Subdirectory;
#[cfg(feature = "zstd")]
pub use transform::Zstd;
pub use transform::{Coder, Layers, StreamTransform, Transforms};
pub use writer::{SaveToken, StorageWriter, WriteResult, WriteSource};
