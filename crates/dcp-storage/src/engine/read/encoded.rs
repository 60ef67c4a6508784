//! What is encoded, as it comes from its file: its checksums compared, its transforms undone.

use dcp_types::Fqn;

use super::sizes::Sizes;
use super::verify::{Checking, Extent, Verifier};
use crate::format::Steps;
use crate::transform::{Chain, Failed};
use crate::{Decoded, Decoder, Io, ReadRange, ReadReport, StorageError, Store, Stream, Verify};

/// A stream on its way.
pub(super) struct Encoded<'r> {
    store: &'r dyn Store,
    /// Encoded bytes are read in pieces of this size.
    piece: u64,
    io: &'r Io<'r>,
    stream: &'r Stream,
    fqn: &'r Fqn,
    chain: Option<Chain>,
    verifier: Verifier<'r>,
    input: Vec<u8>,
    /// How much of the input has been taken.
    from: usize,
    report: ReadReport,
}

/// The stored bytes of a stream, which are compared with their checksums, unless that is not wanted.
pub(super) fn stored(stream: &Stream, fqn: Fqn, store: &dyn Store, io: &Io<'_>) -> Extent {
    let checking = if io.verify() == Verify::None { Checking::No } else { Checking::Covered };
    Extent::new(fqn, store.location(), stream.stored(), 0, Steps::default(), checking)
}

impl<'r> Encoded<'r> {
    pub(super) fn new(
        store: &'r dyn Store,
        sizes: &Sizes,
        io: &'r Io<'r>,
        stream: &'r Stream,
        fqn: &'r Fqn,
        stored: &'r Extent,
    ) -> Result<Self, StorageError> {
        let chain = match stream.layers.decoder() {
            _ if stream.layers.is_empty() => None,
            Some(chain) => Some(chain.map_err(|failed| fault(failed, stream, fqn))?),
            None => return Err(missing(stream, fqn)),
        };
        let verifier = Verifier::new(stored, false);
        let (input, report) = Default::default();
        let piece = sizes.buffer / 2;
        Ok(Self { store, piece, io, stream, fqn, chain, verifier, input, from: 0, report })
    }

    /// Gives the next bytes; none at the end.
    pub(super) async fn next(&mut self, plain: &mut Vec<u8>) -> Result<(), StorageError> {
        plain.clear();
        let Some(mut chain) = self.chain.take() else { return self.read(plain).await };
        while plain.is_empty() {
            if self.from == self.input.len() && self.report.read < self.stream.length {
                let mut input = std::mem::take(&mut self.input);
                self.read(&mut input).await?;
                (self.input, self.from) = (input, 0);
            }
            let failed = |failed| fault(failed, self.stream, self.fqn);
            if self.from < self.input.len() {
                self.from += chain.code(&self.input[self.from..], plain).map_err(failed)?;
            } else if chain.finish(plain).map_err(failed)? {
                break;
            }
        }
        self.chain = Some(chain);
        Ok(())
    }

    /// What that has cost.
    pub(super) fn report(&self) -> ReadReport {
        self.report
    }

    /// Reads the next piece, if there is one. Blocks of checksums divide it, but for the last, so that what is damaged is found before
    /// anybody decodes it.
    async fn read(&mut self, into: &mut Vec<u8>) -> Result<(), StorageError> {
        into.resize(self.piece.min(self.stream.length - self.report.read) as usize, 0);
        if into.is_empty() {
            return Ok(());
        }
        let offset = self.stream.offset + self.report.read;
        self.store.read(&self.stream.file, &mut [ReadRange { offset, buffer: into }]).await?;
        self.verifier.feed(self.report.read, into)?;
        self.report.read += into.len() as u64;
        self.report.ranges += 1;
        self.io.advance(into.len() as u64);
        Ok(())
    }
}

/// Decodes what has no frame: there is nothing to be done.
pub(super) struct AsIs;

impl Decoder for AsIs {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decoded, StorageError> {
        let count = input.len().min(output.len());
        output[..count].copy_from_slice(&input[..count]);
        Ok(Decoded { consumed: count, produced: count })
    }

    fn finish(&mut self) -> Result<bool, StorageError> {
        Ok(false)
    }
}

fn fault(Failed { transform, source }: Failed, stream: &Stream, fqn: &Fqn) -> StorageError {
    let (fqn, path, transform) = (fqn.clone(), stream.file.clone(), transform.to_string());
    StorageError::Undecodable { fqn, path, offset: stream.offset, length: stream.length, transform, source }
}

/// A transform of a stream is not known.
pub(super) fn missing(stream: &Stream, fqn: &Fqn) -> StorageError {
    let descriptor = stream.layers.missing().unwrap_or_default();
    let what_to_do = if descriptor.starts_with("stream.zstd/1") {
        "build with the feature `zstd` to read it"
    } else {
        "give that transform to the format that reads it"
    };
    let what = format!("the transform {descriptor} (of {fqn}; {what_to_do})");
    StorageError::Unreadable { path: stream.file.clone(), offset: stream.offset, what }
}
