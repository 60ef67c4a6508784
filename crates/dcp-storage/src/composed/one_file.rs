//! Saving into one file, which all ranks write together.
//!
//! There is no index beside it whose publication could be the commit, and no place for claims: the file takes its name when it is
//! whole, which is the commit. Savers never write to one file, since each save is an upload of its own; of those that race for
//! a name that nothing bears, one gets it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use dcp_types::{GlobalPlan, Outline, Rank, RankPlan, RankSet, TensorType, WriteItem, WriteWhat};
use serde::{Deserialize, Serialize};

use super::encoding::Encoding;
use super::in_order::InOrder;
use super::wire::{decode, encode};
use crate::engine::{Whole, answer, checksum, place_chunk};
use crate::{
    Format, Io, OneFile, PlacedChunk, Precondition, SaveToken, SharedUpload, SharedUploads, StorageError, Store,
    StorePath, UploadId, WriteReport, WriteResult, WriteSource, Written,
};

/// A format of one file, and the place for it.
pub(super) struct OneFileSave<'a> {
    pub(super) format: &'a dyn Format,
    pub(super) file: &'a dyn OneFile,
    pub(super) store: &'a dyn Store,
    /// For one rank, if the store cannot take one object from several.
    pub(super) in_order: &'a InOrder,
}

/// The save that is under way.
#[derive(Serialize, Deserialize)]
struct Token {
    path: StorePath,
    id: UploadId,
    replace: bool,
    /// Counts the file in the reports.
    first: Option<Rank>,
}

/// What a rank has written: what each tensor has of it, by number, and values.
#[derive(Default, Serialize, Deserialize)]
struct Summary {
    parts: BTreeMap<usize, Part>,
    values: Vec<(usize, Bytes)>,
    /// The size of the file, if all of it has been written.
    whole: Option<u64>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Part {
    /// What it contributes to the checksum of the tensor.
    sum: u32,
    /// In bytes.
    length: u64,
}

impl OneFileSave<'_> {
    pub(super) async fn begin(
        &self,
        path: StorePath,
        ranks: &RankSet,
        replace: bool,
    ) -> Result<SaveToken, StorageError> {
        self.refuse(&path, replace).await?;
        if self.store.shared().is_none() && ranks.len() > 1 {
            return Err(StorageError::NotShared { location: self.store.location() });
        }
        let id = self.uploads().begin(&path, None).await?;
        let token = Token { path: path.clone(), id, replace, first: ranks.first() };
        Ok(SaveToken(encode(&token)?))
    }

    /// Refuses a file that must not be replaced.
    pub(super) async fn refuse(&self, path: &StorePath, replace: bool) -> Result<(), StorageError> {
        match self.store.size(path).await {
            Ok(_) if !replace || self.store.shared().is_none() => Err(self.exists(path)),
            Ok(_) if !answer(self.store, self.format.recognise(), &Io::new()?)?.0 => Err(self.another(path)),
            Ok(_) | Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn write_data(
        &self,
        token: &SaveToken,
        plan: &RankPlan,
        source: &dyn WriteSource,
        io: &Io<'_>,
    ) -> Result<WriteResult, StorageError> {
        let Token { path, id, first, .. } = decode(&token.0)?;
        let source = Encoding { source, format: self.format, plan };
        let mut summary = Summary::default();
        let mut report = WriteReport { files: u64::from(first == Some(plan.rank())), ..WriteReport::default() };
        summary.values = source.values(|_| true)?;
        report.wrote(&summary.values);
        let mut file = Open { upload: self.uploads().join(&path, &id).await?, path: &path, io };
        let mut chunks = self.file.place(plan)?;
        if self.store.shared().is_some() {
            for chunk in &chunks {
                let part = self.put(&mut file, plan.outline(), chunk, &source).await?;
                summary.add(chunk.item.entry, part);
            }
        } else {
            chunks.sort_by_key(|chunk| chunk.tensor);
            self.write_in_order(&mut file, plan.outline(), &chunks, &source, &mut summary).await?;
        }
        file.upload.flush().await?;
        let length: u64 = summary.parts.values().map(|part| part.length).sum();
        (report.data, report.written) = (report.data + length, report.written + length);
        Ok(WriteResult { report, summary: encode(&summary)? })
    }

    /// Writes all of the file, if this rank has every tensor as a whole.
    async fn write_in_order(
        &self,
        file: &mut Open<'_>,
        outline: &Outline,
        chunks: &[PlacedChunk],
        source: &dyn WriteSource,
        summary: &mut Summary,
    ) -> Result<(), StorageError> {
        let so_far = TensorsWritten::none(outline.len(), std::mem::take(&mut summary.values));
        let (mut chunks, mut end) = (chunks.iter().peekable(), 0);
        for piece in self.file.pieces(outline, &so_far)? {
            file.upload.write_at(piece.offset, &piece.bytes).await?;
            end = piece.offset + piece.bytes.len() as u64;
            while let Some(chunk) = chunks.next_if(|chunk| chunk.tensor == end) {
                self.need_whole(outline, chunk)?;
                let part = self.put(file, outline, chunk, source).await?;
                summary.add(chunk.item.entry, part);
                end += part.length;
                so_far.sums[chunk.item.entry].store(checksum(part.sum, part.length), Ordering::Relaxed);
            }
        }
        (summary.values, summary.whole) = (so_far.values, Some(end));
        Ok(())
    }

    fn need_whole(&self, outline: &Outline, chunk: &PlacedChunk) -> Result<(), StorageError> {
        let WriteItem { entry, what } = &chunk.item;
        let is_whole = |tensor: &TensorType| matches!(what, WriteWhat::Chunk(_, bytes) if *bytes == tensor.nbytes());
        if outline.tensor(*entry).is_some_and(is_whole) {
            return Ok(());
        }
        let fqn = outline.name(*entry);
        let what = format!("{fqn} in parts: {} takes a file from its first byte to its last", self.store.location());
        Err(StorageError::Unsupported { format: self.format.name(), what })
    }

    async fn put(
        &self,
        file: &mut Open<'_>,
        outline: &Outline,
        chunk: &PlacedChunk,
        source: &dyn WriteSource,
    ) -> Result<Part, StorageError> {
        let tensor = outline.tensor(chunk.item.entry).ok_or_else(|| self.unplanned(chunk.item.entry))?;
        let whole = Whole { extents: tensor.shape.dims(), element: tensor.dtype.size(), length: tensor.nbytes() };
        let (sum, length) = place_chunk(&mut *file.upload, file.path, chunk, &whole, source, file.io).await?;
        Ok(Part { sum, length })
    }

    pub(super) async fn finish(
        &self,
        token: &SaveToken,
        plan: &GlobalPlan,
        results: &[(Rank, WriteResult)],
        io: &Io<'_>,
    ) -> Result<(), StorageError> {
        let Token { path, id, replace, .. } = decode(&token.0)?;
        let (written, whole) = self.join_up(plan.outline(), results)?;
        let size = match whole {
            Some(size) => size,
            None => {
                let (mut file, mut size) = (self.uploads().join(&path, &id).await?, 0);
                for piece in self.file.pieces(plan.outline(), &written)? {
                    file.write_at(piece.offset, &piece.bytes).await?;
                    io.advance(piece.bytes.len() as u64);
                    size = piece.offset + piece.bytes.len() as u64;
                }
                file.flush().await?;
                size
            }
        };
        let when = if replace { Precondition::None } else { Precondition::Absent };
        match self.uploads().complete(&path, &id, size, when).await {
            Ok(_) => Ok(()),
            // Whether it was there before the call or because of it, nobody can tell.
            Err(source) if source.is_retryable() => {
                let location = self.store.location();
                Err(StorageError::CommitUnknown { location, source: Box::new(source) })
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn abort(&self, token: &SaveToken) -> Result<(), StorageError> {
        let Token { path, id, .. } = decode(&token.0)?;
        self.uploads().abort(&path, &id).await
    }

    /// What all ranks have written, and the size of the file if that is all of it. Every tensor must be there whole, once under
    /// all its names.
    fn join_up(
        &self,
        outline: &Outline,
        results: &[(Rank, WriteResult)],
    ) -> Result<(TensorsWritten, Option<u64>), StorageError> {
        let mut parts = vec![Part::default(); outline.len()];
        let (mut values, mut whole) = (Vec::new(), None);
        for (_, result) in results {
            let summary: Summary = decode(&result.summary)?;
            whole = whole.or(summary.whole);
            values.extend(summary.values);
            for (entry, Part { sum, length }) in summary.parts {
                let part = parts.get_mut(entry).ok_or_else(|| self.unplanned(entry))?;
                *part = Part { sum: part.sum ^ sum, length: part.length.saturating_add(length) };
            }
        }
        values.sort_by_key(|(entry, _)| *entry);
        let written = TensorsWritten::none(outline.len(), values);
        for (entry, Part { sum, length: found }) in parts.into_iter().enumerate() {
            let Some(tensor) = outline.tensor(entry).filter(|_| !outline.ties().contains_key(&entry)) else { continue };
            let expected = tensor.nbytes();
            if found != expected {
                return Err(StorageError::SourceLength { path: self.format.index_path(), expected, found });
            }
            written.sums[entry].store(checksum(sum, expected), Ordering::Relaxed);
        }
        Ok((written, whole))
    }

    fn uploads(&self) -> &dyn SharedUploads {
        self.store.shared().unwrap_or(self.in_order)
    }

    fn exists(&self, path: &StorePath) -> StorageError {
        StorageError::Exists { location: self.store.location(), found: path.to_string() }
    }

    /// Whoever allows a checkpoint to be replaced has not meant just any file.
    fn another(&self, path: &StorePath) -> StorageError {
        let reason = format!("{path} is something else than {}, and is not replaced", self.format.name());
        StorageError::NoCheckpoint { location: self.store.location(), reason }
    }

    fn unplanned(&self, entry: usize) -> StorageError {
        let what = format!("entry {entry}, which is no tensor of the plan");
        StorageError::Unsupported { format: self.format.name(), what }
    }
}

/// The file, while a rank writes to it.
struct Open<'a> {
    upload: Box<dyn SharedUpload>,
    path: &'a StorePath,
    io: &'a Io<'a>,
}

impl Summary {
    fn add(&mut self, entry: usize, Part { sum, length }: Part) {
        let part = self.parts.entry(entry).or_default();
        *part = Part { sum: part.sum ^ sum, length: part.length + length };
    }
}

/// Checksums as they become known, by the number of the entry, and values.
struct TensorsWritten {
    sums: Vec<AtomicU32>,
    values: Vec<(usize, Bytes)>,
}

impl TensorsWritten {
    fn none(entries: usize, values: Vec<(usize, Bytes)>) -> Self {
        Self { sums: (0..entries).map(|_| AtomicU32::new(0)).collect(), values }
    }
}

impl Written for TensorsWritten {
    fn checksum(&self, entry: usize) -> u32 {
        self.sums.get(entry).map_or(0, |sum| sum.load(Ordering::Relaxed))
    }

    fn values(&self) -> &[(usize, Bytes)] {
        &self.values
    }
}
