//! The bytes of a source, piece by piece.

use dcp_types::{DataError, Source};

use crate::{Io, StorageError, StorePath};

/// Bytes are written and then checksummed in pieces of this size, so that the second pass finds them in the cache.
pub(super) const PIECE: usize = Io::WRITE_BUFFER as usize;

/// What an item consists of, in order: lent where it lies in one piece, else copied together.
pub(super) struct Pieces<'a, 's> {
    content: &'a Source<'s>,
    lent: Option<&'a [u8]>,
    stage: Vec<u8>,
    offset: u64,
    length: u64,
}

impl<'a, 's> Pieces<'a, 's> {
    /// # Errors
    /// [`StorageError::Source`] for what has no bytes.
    pub(super) fn of(content: &'a Source<'s>, path: &StorePath) -> Result<Self, StorageError> {
        let lent = match content {
            Source::Bytes(bytes) => Some(&bytes[..]),
            Source::View(view) => view.as_bytes(),
            _ => None,
        };
        let length = match (lent, content.tensor_type()) {
            (Some(bytes), _) => bytes.len() as u64,
            (None, Some((dtype, shape))) => shape.iter().product::<u64>() * dtype.size(),
            (None, None) => return Err(failed(path)(format!("{content:?} cannot be written").into())),
        };
        Ok(Self { content, lent, stage: Vec::new(), offset: 0, length })
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The next piece, never an empty one.
    pub(super) fn next(&mut self, path: &StorePath) -> Result<Option<&[u8]>, StorageError> {
        let left = self.length - self.offset;
        if left == 0 {
            return Ok(None);
        }
        let (start, size) = (self.offset, left.min(PIECE as u64) as usize);
        self.offset += size as u64;
        if let Some(bytes) = self.lent {
            return Ok(Some(&bytes[start as usize..][..size]));
        }
        self.stage.resize(size, 0);
        match self.content {
            Source::View(view) => view.read_at(start, &mut self.stage).map_err(DataError::from),
            Source::Lazy(lazy) => lazy.read_at(start, &mut self.stage),
            Source::Shared(shared) => shared.read_at(start, &mut self.stage),
            _ => Ok(()),
        }
        .map_err(failed(path))?;
        Ok(Some(&self.stage))
    }
}

fn failed(path: &StorePath) -> impl Fn(DataError) -> StorageError {
    |source| StorageError::Source { path: path.clone(), source }
}
