//! What is done to bytes on their way into a file, and undone on their way out: compression, encryption.

mod chain;
mod layers;
mod list;
#[cfg(feature = "zstd")]
mod zstd;

pub(crate) use chain::{Chain, Failed};
pub use layers::Layers;
pub use list::Transforms;
#[cfg(feature = "zstd")]
pub use zstd::Zstd;

use std::fmt;

use dcp_types::DataError;

/// A transform of the bytes of items: a compression, an encryption. PyTorch knows it as `StreamTransformExtension`.
///
/// Each item (a chunk or a value, as its format frames it) is a stream of its own: it goes through a new encoder, and may be decoded
/// by anybody who knows the transform by its name, in any process and at any time later.
///
/// # Contract
/// * `name` never changes, and no other transform has it. `version` names what encoders make: who changes that changes the
///   version, and goes on [reading](Self::reads) the versions before.
/// * What an encoder makes of a stream, a decoder makes into that stream again, byte for byte, however either is cut into pieces.
/// * All that is needed for decoding is in the encoded bytes or in the transform itself, as the key of a cipher is.
/// * A decoder believes nothing: it fails on what no encoder has made, and never panics.
pub trait StreamTransform: fmt::Debug + Send + Sync {
    /// Its name, as `stream.zstd`. One that is not generally known ends in the domain of who made it, as
    /// `stream.rot13@example.org`. Without a slash, and at most 128 bytes.
    fn name(&self) -> &str;

    /// The version of what its encoders make, as `1`; at most 64 bytes. Name and version together, as `stream.zstd/1`, are the descriptor
    /// that is stored beside what was encoded.
    fn version(&self) -> &str;

    /// Whether its decoders understand a version; the present one, unless it says otherwise.
    fn reads(&self, version: &str) -> bool {
        version == self.version()
    }

    /// Something that encodes one stream.
    ///
    /// # Errors
    /// If it cannot be made, as for want of memory.
    fn encoder(&self) -> Result<Box<dyn Coder>, DataError>;

    /// Something that decodes one stream of a version that it [reads](Self::reads).
    ///
    /// # Errors
    /// If it cannot be made, as for want of memory.
    fn decoder(&self, version: &str) -> Result<Box<dyn Coder>, DataError>;
}

/// Makes a stream of bytes from another one, piece by piece.
///
/// # Contract
/// * Its memory does not depend on the length of the stream, nor does what one call adds to the output: about a MiB at most. What it does
///   not take of the input for that, it is given again.
/// * A call of `code`, which has input, takes or adds something, or fails.
/// * After the last `code` `finish` is called, again and again until it says `true`; then nothing more.
pub trait Coder: Send {
    /// Takes some bytes from the front of the input, and adds what they make to the output; how many it took.
    ///
    /// # Errors
    /// If they cannot be coded. The stream is given up then.
    fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DataError>;

    /// Ends the stream: adds what is left to the output; whether that is all.
    ///
    /// # Errors
    /// If the stream was cut short, or its end is not sound.
    fn finish(&mut self, output: &mut Vec<u8>) -> Result<bool, DataError>;
}
