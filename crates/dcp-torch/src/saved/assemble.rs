//! Makes the archive of one object out of its pickle and the storages of a file, in one pass over that part of the file in which they lie:
//! in little memory, whatever the size of the storages. What lies between them is read too; PyTorch writes storages in the order in which a
//! pickle first names them, so that those of one object lie together unless they belong to others as well.

use std::sync::Arc;

use dcp_storage::{Decoded, Decoder, Layers, Locator, StorageError, StorePath, Stream, StreamCodec};
use dcp_types::ReadItem;

use crate::archive::{ArchiveWriter, StoredBytes};
use crate::object::CutObject;

/// An object, and where its storages lie.
#[derive(Clone, Debug)]
pub(super) struct Assembly {
    object: Arc<CutObject>,
    /// In the order of the file, with their numbers.
    storages: Arc<[(usize, StoredBytes)]>,
}

impl Assembly {
    /// Of storages by number.
    pub(super) fn new(object: Arc<CutObject>, storages: Vec<StoredBytes>) -> Self {
        let mut storages: Vec<_> = storages.into_iter().enumerate().collect();
        storages.sort_by_key(|(number, stored)| (stored.offset, stored.length, *number));
        Self { object, storages: storages.into() }
    }

    /// Where to find the object's archive in a file.
    pub(super) fn locator(self, file: StorePath) -> Locator {
        let filled = || self.storages.iter().filter(|(_, stored)| stored.length > 0).map(|(_, stored)| stored);
        let (Some(start), Some(end)) =
            (filled().map(|stored| stored.offset).min(), filled().map(|stored| stored.offset + stored.length).max())
        else {
            let mut assembler = Assembler::new(&self, file, 0);
            assembler.next_storage();
            return Locator::Inline(assembler.ready.into());
        };
        let codec: Arc<dyn StreamCodec> = Arc::new(self);
        let (length, layers) = (end - start, Layers::default());
        Locator::Stream(Stream { file, offset: start, length, layers, codec: Some(codec), checks: None })
    }

    /// The archive up to the storages.
    fn begin(&self) -> ArchiveWriter {
        let is_in_order = self.storages.iter().map(|(number, _)| *number).eq(0..self.storages.len());
        if is_in_order {
            ArchiveWriter::new(&self.object.pickle)
        } else {
            ArchiveWriter::unordered(&self.object.pickle)
        }
    }
}

impl StreamCodec for Assembly {
    fn decoder(&self, stream: &Stream, _: &ReadItem) -> Box<dyn Decoder> {
        let mut assembler = Assembler::new(self, stream.file.clone(), stream.offset);
        assembler.next_storage();
        Box::new(assembler)
    }
}

/// Puts an archive together.
struct Assembler {
    assembly: Assembly,
    file: StorePath,
    /// `None` when all is written.
    writer: Option<ArchiveWriter>,
    /// The place of the storage that is being read, in the order of the file.
    now: usize,
    /// How much of it is still to come.
    left: u64,
    checksum: crc32fast::Hasher,
    /// Where the input is in the file.
    position: u64,
    /// What can be given out, and how much of it has been.
    ready: Vec<u8>,
    given: usize,
}

impl Assembler {
    fn new(assembly: &Assembly, file: StorePath, position: u64) -> Self {
        Self {
            assembly: assembly.clone(),
            file,
            writer: Some(assembly.begin()),
            now: 0,
            left: 0,
            checksum: crc32fast::Hasher::new(),
            position,
            ready: Vec::new(),
            given: 0,
        }
    }

    /// Goes on to the storage that is now to be read, past empty ones, or to the archive's end.
    fn next_storage(&mut self) {
        let Some(mut writer) = self.writer.take() else { return };
        while let Some((number, stored)) = self.assembly.storages.get(self.now) {
            self.ready.extend(writer.begin_storage(&number.to_string(), stored.length));
            if stored.length > 0 {
                self.left = stored.length;
                self.writer = Some(writer);
                return;
            }
            writer.end_storage(0);
            self.now += 1;
        }
        self.ready.extend(writer.finish());
    }

    /// Ends the storage that was read.
    fn end_storage(&mut self) -> Result<(), StorageError> {
        let found = std::mem::take(&mut self.checksum).finalize();
        if let Some((_, StoredBytes { offset, crc: Some(expected), .. })) = self.assembly.storages.get(self.now)
            && *expected != found
        {
            let reason = format!("a storage has checksum {found:08x}, expected {expected:08x}");
            return Err(StorageError::Corrupt { path: self.file.clone(), offset: *offset, reason });
        }
        if let Some(writer) = &mut self.writer {
            writer.end_storage(found);
        }
        self.now += 1;
        self.next_storage();
        Ok(())
    }

    fn give(&mut self, output: &mut [u8]) -> usize {
        let there = &self.ready[self.given..];
        let count = there.len().min(output.len());
        output[..count].copy_from_slice(&there[..count]);
        self.given += count;
        if self.given == self.ready.len() {
            (self.ready, self.given) = (Vec::new(), 0);
        }
        count
    }
}

impl Decoder for Assembler {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decoded, StorageError> {
        let mut done = Decoded { consumed: 0, produced: 0 };
        loop {
            done.produced += self.give(&mut output[done.produced..]);
            let Some((_, stored)) = self.assembly.storages.get(self.now) else { return Ok(done) };
            if !self.ready.is_empty() {
                return Ok(done);
            }
            let (input, output) = (&input[done.consumed..], &mut output[done.produced..]);
            let skipped = least(stored.offset.saturating_sub(self.position), input.len());
            let count = least(self.left, (input.len() - skipped).min(output.len()));
            let content = &input[skipped..skipped + count];
            output[..count].copy_from_slice(content);
            self.checksum.update(content);
            self.position += (skipped + count) as u64;
            self.left -= count as u64;
            done.consumed += skipped + count;
            done.produced += count;
            if self.left > 0 {
                return Ok(done);
            }
            self.end_storage()?;
        }
    }

    fn finish(&mut self) -> Result<bool, StorageError> {
        if self.writer.is_some() || !self.ready.is_empty() {
            let reason = "the storages of an object were cut off".into();
            return Err(StorageError::Corrupt { path: self.file.clone(), offset: self.position, reason });
        }
        Ok(self.assembly.storages.iter().all(|(_, stored)| stored.crc.is_some() || stored.length == 0))
    }
}

fn least(bytes: u64, limit: usize) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(limit)
}
