//! Saving into one file, which all ranks write together.
//!
//! There is no index beside it whose publication could be the commit, and no place for claims: the file takes its name when it is
//! whole, which is the commit. Savers never write to one file, since each save is an upload of its own; of those that race for
//! a name that nothing bears, one gets it.

use std::collections::BTreeMap;

use bytes::Bytes;
use dcp_types::{GlobalPlan, Rank, RankSet, TensorEntry, WriteWhat};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::encoding::Encoding;
use crate::engine::{Whole, answer, checksum, place_chunk};
use crate::{
    Format, Io, OneFile, Precondition, SaveToken, SharedUploads, StorageError, Store, StorePath, TensorsWritten,
    UploadId, WriteReport, WriteResult, WriteSource,
};

/// A format of one file, and the place for it.
pub(super) struct OneFileSave<'a> {
    pub(super) format: &'a dyn Format,
    pub(super) file: &'a dyn OneFile,
    pub(super) store: &'a dyn Store,
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
        match self.store.size(&path).await {
            Ok(_) if !replace => return Err(self.exists(&path)),
            Ok(_) if !answer(self.store, self.format.recognise(), &Io::new()?)?.0 => return Err(self.another(&path)),
            Ok(_) | Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let id = self.shared()?.begin(&path, None).await?;
        let token = Token { path: path.clone(), id, replace, first: ranks.first() };
        Ok(SaveToken(encode(&token)?))
    }

    pub(super) async fn write_data(
        &self,
        token: &SaveToken,
        plan: &GlobalPlan,
        rank: Rank,
        source: &dyn WriteSource,
        io: &Io<'_>,
    ) -> Result<WriteResult, StorageError> {
        let Token { path, id, first, .. } = decode(&token.0)?;
        let source = Encoding { source, format: self.format, plan };
        let mut summary = Summary::default();
        let mut report = WriteReport { files: u64::from(first == Some(rank)), ..WriteReport::default() };
        let mut file = self.shared()?.join(&path, &id).await?;
        for chunk in self.file.place(plan, rank)? {
            let tensor = tensor(plan, chunk.item.entry).ok_or_else(|| self.unplanned(chunk.item.entry))?;
            let whole = Whole { extents: tensor.shape.dims(), element: tensor.dtype.size(), length: tensor.nbytes() };
            let (sum, length) = place_chunk(&mut *file, &path, &chunk, &whole, &source, io).await?;
            let part = summary.parts.entry(chunk.item.entry).or_default();
            *part = Part { sum: part.sum ^ sum, length: part.length + length };
            report.data += length;
            report.written += length;
        }
        file.flush().await?;
        for item in plan.items_of(rank).into_iter().filter(|item| item.what == WriteWhat::Value) {
            let dcp_types::Source::Bytes(bytes) = source.source(&item)? else { continue };
            report.data += bytes.len() as u64;
            report.written += bytes.len() as u64;
            summary.values.push((item.entry, bytes));
        }
        Ok(WriteResult { report, summary: encode(&summary)? })
    }

    pub(super) async fn finish(
        &self,
        token: &SaveToken,
        plan: &GlobalPlan,
        results: &[(Rank, WriteResult)],
    ) -> Result<(), StorageError> {
        let Token { path, id, replace, .. } = decode(&token.0)?;
        let shared = self.shared()?;
        let written = self.join_up(plan, results)?;
        let mut file = shared.join(&path, &id).await?;
        let mut size = 0;
        for piece in self.file.complete(plan, &written)? {
            file.write_at(piece.offset, &piece.bytes).await?;
            size = piece.offset + piece.bytes.len() as u64;
        }
        file.flush().await?;
        let when = if replace { Precondition::None } else { Precondition::Absent };
        match shared.complete(&path, &id, size, when).await {
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
        self.shared()?.abort(&path, &id).await
    }

    /// What all ranks have written. Every tensor must be there whole, once under all its names.
    fn join_up(&self, plan: &GlobalPlan, results: &[(Rank, WriteResult)]) -> Result<TensorsWritten, StorageError> {
        let mut parts = vec![Part::default(); plan.metadata().len()];
        let mut values = Vec::new();
        for (_, result) in results {
            let summary: Summary = decode(&result.summary)?;
            values.extend(summary.values);
            for (entry, Part { sum, length }) in summary.parts {
                let part = parts.get_mut(entry).ok_or_else(|| self.unplanned(entry))?;
                *part = Part { sum: part.sum ^ sum, length: part.length.saturating_add(length) };
            }
        }
        values.sort_by_key(|(entry, _)| *entry);
        let mut checksums = vec![0; parts.len()];
        for (entry, Part { sum, length: found }) in parts.into_iter().enumerate() {
            let Some(tensor) = tensor(plan, entry).filter(|_| !plan.ties().contains_key(&entry)) else { continue };
            let expected = tensor.nbytes();
            if found != expected {
                return Err(StorageError::SourceLength { path: self.format.index_path(), expected, found });
            }
            checksums[entry] = checksum(sum, expected);
        }
        Ok(TensorsWritten { checksums, values })
    }

    fn shared(&self) -> Result<&dyn SharedUploads, StorageError> {
        self.store.shared().ok_or_else(|| StorageError::NotShared { location: self.store.location() })
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

fn tensor(plan: &GlobalPlan, entry: usize) -> Option<&TensorEntry> {
    plan.metadata().entry(entry)?.1.as_tensor()
}

fn encode<T: Serialize>(what: &T) -> Result<Bytes, StorageError> {
    rmp_serde::to_vec(what).map(Bytes::from).map_err(|fault| foreign(fault.to_string()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    rmp_serde::from_slice(bytes).map_err(|fault| foreign(fault.to_string()))
}

/// Something that another writer has made.
fn foreign(what: String) -> StorageError {
    StorageError::Unsupported { format: "token", what }
}
