//! Items that are stored encoded.

use std::fmt;
use std::sync::Arc;

use dcp_types::ReadItem;

use super::{BlockChecks, Extent, Layout};
use crate::{Layers, StorageError, StorePath};

/// An encoded payload: it has no ranges, and is decoded once in a call for everything that is wanted of it.
///
/// What is read is compared with its checksums, if it has any; then its transforms are undone; then its codec takes the frame off that the format
/// puts around payloads.
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
    /// The transforms that are undone first. If one of them is missing, nothing can be read but the checksums.
    pub layers: Layers,
    /// What decodes the rest; nothing if that is the payload itself, row-major and little-endian.
    pub codec: Option<Arc<dyn StreamCodec>>,
    /// Checksums of the bytes as they are stored, if the format has any.
    pub checks: Option<BlockChecks>,
}

impl Stream {
    /// Its bytes as they are stored.
    pub(crate) fn stored(&self) -> Extent {
        let Self { file, offset, length, checks, .. } = self.clone();
        Extent { file, offset, length, layout: Layout::default(), checks }
    }
}

/// An encoding of a format's own.
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

/// The same place, decoded in the same way.
impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        let place = |stream: &Self| (stream.offset, stream.length);
        let is_same_codec = match (&self.codec, &other.codec) {
            (Some(codec), Some(other)) => Arc::ptr_eq(codec, other),
            (codec, other) => codec.is_none() && other.is_none(),
        };
        self.file == other.file
            && place(self) == place(other)
            && is_same_codec
            && self.layers == other.layers
            && self.checks == other.checks
    }
}

impl Eq for Stream {}

/// The most bytes that a value may decode to of which so many are stored: memory is not taken for what a few bytes claim.
pub(crate) fn longest_value(stored: u64) -> u64 {
    const LEAST: u64 = 32 << 20;
    const RATIO: u64 = 8;
    LEAST.saturating_add(stored.saturating_mul(RATIO))
}
