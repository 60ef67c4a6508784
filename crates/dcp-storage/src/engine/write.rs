//! Writes one file: its segments in order, with running checksums.

use dcp_types::{Source, WriteWhat};

use super::encode::Encoding;
use super::pieces::Pieces;
use super::sums::BlockSums;
use crate::{
    FileLayout, Io, Segment, StorageError, Store, StorePath, Upload, WriteSource, WrittenFile, WrittenSegment,
};

/// Shorter pieces are gathered, so that small tensors do not cost a write each.
const GATHER: usize = 64 << 10;

/// Writes a file and makes it durable. On an error nothing of it stays.
pub(crate) async fn write_file(
    store: &dyn Store,
    layout: FileLayout,
    source: &dyn WriteSource,
    io: &Io<'_>,
) -> Result<WrittenFile, StorageError> {
    let upload = store.create(&layout.path, layout.expected_size).await?;
    let mut file = OpenFile { upload, path: layout.path, position: 0, gathered: Vec::new(), encoding: None, io };
    let mut segments = Vec::with_capacity(layout.segments.len());
    for segment in layout.segments {
        match file.write(segment, &segments, source).await {
            Ok(written) => segments.push(written),
            Err(error) => {
                // The first error is what matters; a store also cleans up after an upload that is dropped.
                drop(file.upload.abort().await);
                return Err(error);
            }
        }
    }
    file.finish(segments).await
}

pub(super) struct OpenFile<'a> {
    upload: Box<dyn Upload>,
    pub(super) path: StorePath,
    position: u64,
    gathered: Vec<u8>,
    /// What bytes go through before they are written, for a while.
    pub(super) encoding: Option<Encoding>,
    io: &'a Io<'a>,
}

impl OpenFile<'_> {
    pub(super) async fn write(
        &mut self,
        segment: Segment,
        before: &[WrittenSegment],
        source: &dyn WriteSource,
    ) -> Result<WrittenSegment, StorageError> {
        let offset = self.position();
        let (mut written_item, mut checksums) = (None, Vec::new());
        match segment {
            Segment::Bytes(bytes) => self.put(&bytes).await?,
            Segment::Late(late) => self.put(&late(before)?).await?,
            Segment::Encoded(encoded) => return self.write_encoded(encoded, source).await,
            Segment::Align(to) => {
                let padding = offset.next_multiple_of(to.max(1)) - offset;
                self.put(&vec![0; padding as usize]).await?;
            }
            Segment::Item { item, checksum_block, checksum } => {
                let content = source.source(&item)?;
                let mut sums = BlockSums::new(checksum_block, checksum);
                self.put_item(&content, &mut sums).await?;
                checksums = sums.finish();
                let length = self.position() - offset;
                if let WriteWhat::Chunk(_, expected) = &item.what
                    && *expected != length
                {
                    let (path, expected) = (self.path.clone(), *expected);
                    return Err(StorageError::SourceLength { path, expected, found: length });
                }
                written_item = Some(item);
            }
        }
        Ok(WrittenSegment { offset, length: self.position() - offset, item: written_item, checksums })
    }

    async fn put_item(&mut self, content: &Source<'_>, sums: &mut BlockSums) -> Result<(), StorageError> {
        let path = self.path.clone();
        let mut pieces = Pieces::of(content, &path)?;
        while let Some(piece) = pieces.next(&path)? {
            // In this order: what is copied first is read from memory while it is written, and then it is in the cache.
            self.put(piece).await?;
            sums.add(piece);
        }
        Ok(())
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        if self.encoding.is_some() { self.put_encoded(bytes).await } else { self.put_as_is(bytes).await }
    }

    pub(super) async fn put_as_is(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.position += bytes.len() as u64;
        if bytes.len() < GATHER {
            self.gathered.extend_from_slice(bytes);
            if self.gathered.len() >= GATHER { self.flush().await } else { Ok(()) }
        } else {
            self.flush().await?;
            self.upload.write(bytes).await?;
            self.io.advance(bytes.len() as u64);
            Ok(())
        }
    }

    /// How many bytes were written; while they are encoded, how many went in.
    pub(super) fn position(&self) -> u64 {
        self.encoding.as_ref().map_or(self.position, Encoding::position)
    }

    async fn flush(&mut self) -> Result<(), StorageError> {
        if !self.gathered.is_empty() {
            self.upload.write(&self.gathered).await?;
            self.io.advance(self.gathered.len() as u64);
            self.gathered.clear();
        }
        Ok(())
    }

    async fn finish(mut self, segments: Vec<WrittenSegment>) -> Result<WrittenFile, StorageError> {
        self.flush().await?;
        let (path, size) = (self.path, self.position);
        let stored = self.upload.finish().await?;
        if stored.size == size {
            Ok(WrittenFile { path, size, segments })
        } else {
            Err(StorageError::LostWrite { path, expected: size, found: stored.size })
        }
    }
}
