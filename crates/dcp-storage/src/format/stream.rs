//! Items that are stored encoded.

use std::fmt;
use std::sync::Arc;

use dcp_types::ReadItem;

use super::Layout;
use crate::{StorageError, StorePath};

/// An encoded payload: it has no ranges, and is decoded once in a call for everything that is wanted of it.
///
/// It need not be believed: a chunk must decode to just the bytes that its layout needs (or to more, where it has a `first` or
/// `strides`), a value to at most 32 MiB and 8 times its encoded length. Memory takes any order of dimensions as it comes. For
/// a sink, which takes bytes row-major, what lies in another order is kept until it is complete, and so are elements that
/// share bytes: up to 32 MiB of the payload, more is refused.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The file.
    pub file: StorePath,
    /// Where the encoded bytes start.
    pub offset: u64,
    /// How many there are.
    pub length: u64,
    /// What decodes them.
    pub codec: Arc<dyn StreamCodec>,
}

/// An encoding.
pub trait StreamCodec: fmt::Debug + Send + Sync {
    /// Something that decodes one stream, which holds an item, from the start.
    ///
    /// The item is there for what the codec must know beforehand; that only a part of it is wanted is none of its business.
    fn decoder(&self, stream: &Stream, item: &ReadItem) -> Box<dyn Decoder>;
}

/// Decodes one stream, piece by piece, in memory of its own that does not depend on the length of the stream.
///
/// # Contract
/// * All encoded bytes are offered in order; what was not consumed is offered again. When all have been consumed, `decode` is
///   called with no input until it produces nothing; then `finish`.
/// * A call that has input and room for output consumes or produces something, or fails.
/// * What comes out is the payload: the bytes of the chunk as its layout says, or of the value, and nothing else.
pub trait Decoder: Send {
    /// Decodes some input into some output.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] and [`StorageError::Damaged`].
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decoded, StorageError>;

    /// How the elements lie in the payload; `None` is the default. Asked when there is output, or when the input has
    /// ended; only the first answer counts.
    fn layout(&self) -> Option<&Layout> {
        None
    }

    /// Ends the stream: it must be whole. Says whether a checksum of the payload was compared.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if it was cut short, and [`StorageError::Damaged`].
    fn finish(&mut self) -> Result<bool, StorageError>;
}

/// What a call of [`Decoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// Bytes of the output that were filled.
    pub produced: usize,
}

/// The same place, decoded by the same codec.
impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        let place = |stream: &Self| (stream.offset, stream.length);
        self.file == other.file && place(self) == place(other) && Arc::ptr_eq(&self.codec, &other.codec)
    }
}

impl Eq for Stream {}
