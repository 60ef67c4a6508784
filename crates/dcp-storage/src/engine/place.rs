//! Writes chunks to their places in a file that several write.

use dcp_types::{TypesError, WriteItem, WriteWhat};

use super::pieces::Pieces;
use super::run_sum::RunSum;
use crate::checksum::Hasher;
use crate::{Checksum, Io, PlacedChunk, SharedUpload, StorageError, StorePath, WriteSource};

/// A tensor of which chunks are written.
pub(crate) struct Whole<'a> {
    pub(crate) extents: &'a [u64],
    /// In bytes.
    pub(crate) element: u64,
    /// In bytes.
    pub(crate) length: u64,
}

/// Writes a chunk. Returns what it contributes to the checksum of the whole tensor, and how many bytes it has.
pub(crate) async fn place_chunk(
    file: &mut dyn SharedUpload,
    path: &StorePath,
    chunk: &PlacedChunk,
    whole: &Whole<'_>,
    source: &dyn WriteSource,
    io: &Io<'_>,
) -> Result<(u32, u64), StorageError> {
    let WriteItem { what: WriteWhat::Chunk(part, expected), .. } = &chunk.item else { return Ok((0, 0)) };
    let content = source.source(&chunk.item)?;
    let mut pieces = Pieces::of(&content, path)?;
    let (expected, found) = (*expected, pieces.length());
    if found != expected {
        return Err(StorageError::SourceLength { path: path.clone(), expected, found });
    }
    let runs = part.region.runs(whole.extents).map_err(|fault| failed(path, fault))?;
    let run = runs.run_length() * whole.element;
    let mut placing = Placing {
        file,
        tensor: chunk.tensor,
        starts: runs.map(|start| start * whole.element),
        run,
        at: (0, 0),
        crc: Hasher::new(Checksum::Crc32),
        sum: RunSum::new(),
        io,
    };
    while let Some(piece) = pieces.next(path)? {
        placing.put(piece).await?;
    }
    Ok((placing.sum.finish(whole.length), found))
}

/// A chunk on its way to its runs.
struct Placing<'a, 'io, R> {
    file: &'a mut dyn SharedUpload,
    /// Where the tensor starts in the file.
    tensor: u64,
    /// Where the runs that are still to come start in the tensor.
    starts: R,
    /// The length of each run.
    run: u64,
    /// Where the next byte goes in the tensor, and how many of its run are still to come.
    at: (u64, u64),
    /// Of the run so far.
    crc: Hasher,
    sum: RunSum,
    io: &'a Io<'io>,
}

impl<R: Iterator<Item = u64> + Send> Placing<'_, '_, R> {
    async fn put(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (start, left) = match self.at {
                (_, 0) => (self.starts.next().unwrap_or_default(), self.run),
                under_way => under_way,
            };
            let (now, later) = rest.split_at(rest.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            self.crc.update(now);
            self.file.write_at(self.tensor + start, now).await?;
            let written = now.len() as u64;
            self.io.advance(written);
            self.at = (start + written, left - written);
            if self.at.1 == 0 {
                let crc = self.crc.take();
                self.sum.add(crc, self.run, self.at.0);
            }
            rest = later;
        }
        Ok(())
    }
}

fn failed(path: &StorePath, fault: TypesError) -> StorageError {
    StorageError::Source { path: path.clone(), source: fault.into() }
}
