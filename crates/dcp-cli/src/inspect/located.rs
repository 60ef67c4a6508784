//! In which file each chunk lies.

use std::collections::VecDeque;

use dcp::crates::dcp_storage::Locator;
use dcp::crates::dcp_types::{Chunk, ReadItem};
use dcp::{Checkpoint, Error};

/// How many chunks are located, and held, at a time.
const BATCH: usize = 1 << 14;

/// Locates every chunk of a checkpoint, in the order of its tensors, many at a time.
pub(super) struct Located<'c> {
    checkpoint: &'c Checkpoint,
    chunks: Box<dyn Iterator<Item = (usize, Chunk)> + 'c>,
    ready: VecDeque<(usize, Chunk, Result<Locator, Error>)>,
}

impl<'c> Located<'c> {
    pub(super) fn new(checkpoint: &'c Checkpoint) -> Self {
        let tensors = checkpoint.metadata().entries().enumerate();
        let tensors = tensors.filter_map(|(number, (_, entry))| Some((number, entry.as_tensor()?)));
        let chunks = tensors.flat_map(|(number, tensor)| tensor.all_chunks().map(move |chunk| (number, chunk)));
        Self { checkpoint, chunks: Box::new(chunks), ready: VecDeque::new() }
    }

    /// The next chunk, if it is one of this entry, and where it lies.
    pub(super) fn next_of(&mut self, entry: usize) -> Option<(Chunk, Result<Locator, Error>)> {
        self.fill();
        let of_entry = self.ready.front().is_some_and(|(number, ..)| *number == entry);
        let next = if of_entry { self.ready.pop_front() } else { None };
        next.map(|(_, chunk, locator)| (chunk, locator))
    }

    /// Where the next chunk lies, and of which entry it is.
    pub(super) fn next(&mut self) -> Option<(usize, Result<Locator, Error>)> {
        self.fill();
        self.ready.pop_front().map(|(entry, _, locator)| (entry, locator))
    }

    fn fill(&mut self) {
        if !self.ready.is_empty() {
            return;
        }
        let batch: Vec<(usize, Chunk)> = self.chunks.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return;
        }
        let whole = |(entry, chunk): &(usize, Chunk)| ReadItem::whole_chunk(*entry, chunk.clone());
        let locators = self.checkpoint.locate_each(batch.iter().map(whole).collect());
        self.ready = batch.into_iter().zip(locators).map(|((entry, chunk), at)| (entry, chunk, at)).collect();
    }
}

/// The name of the file that a locator points into, if it is one file.
pub(super) fn file(locator: &Locator) -> Option<&str> {
    match locator {
        Locator::Extent(extent) => Some(extent.file.as_str()),
        Locator::Stream(stream) => Some(stream.file.as_str()),
        _ => None,
    }
}
