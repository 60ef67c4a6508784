//! The writer made of a format and a store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dcp_types::{GlobalPlan, Rank, RankPlan, RankSet};
use serde::{Deserialize, Serialize};

use super::claim::{self, Claim};
use super::companions::Written;
use super::encoding::Encoding;
use super::in_order::InOrder;
use super::named::named_indexes;
use super::one_file::OneFileSave;
use super::traces::{self, Traces};
use super::wire;
use crate::engine::{read_whole, write_file};
use crate::names::is_index;
use crate::{
    Format, Generation, Io, ObjectMeta, Precondition, SaveToken, StorageError, StorageWriter, Store, StorePath,
    Version, WriteReport, WriteResult, WriteSource,
};

/// Writes checkpoints of a format to a store.
///
/// A save claims a generation before it writes anything, so that two savers never write one file. Its files lie beside those of
/// the checkpoint that it will replace. The publication of the index, conditional on the index that was there at the start, is the commit;
/// only then are the replaced files removed.
///
/// A format of [one file](crate::OneFile) has neither claims nor an index: its file takes its name when it is whole. It may replace another
/// file, as a whole; of several savers that do so at one time the last one wins. Where a store cannot take one object from several
/// writers ([`Store::shared`]), one rank can still save, from the first byte to the last; it replaces nothing then.
#[derive(Clone, Debug)]
pub struct ComposedWriter {
    pub(super) format: Arc<dyn Format>,
    pub(super) store: Arc<dyn Store>,
    /// For formats of one file where the store has nothing better.
    in_order: Arc<InOrder>,
    overwrite: bool,
    pub(super) claim_lifetime: Duration,
}

impl ComposedWriter {
    /// A writer that refuses to replace a checkpoint.
    #[must_use]
    pub fn new(format: Arc<dyn Format>, store: Arc<dyn Store>) -> Self {
        let in_order = Arc::new(InOrder::new(Arc::clone(&store)));
        Self { format, store, in_order, overwrite: false, claim_lifetime: Duration::from_secs(24 * 60 * 60) }
    }

    /// The same, replacing a checkpoint of the same format if told so.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// The same with another time (a day unless told) after which a later save may remove what a crashed one has left.
    /// It must be longer than any save takes.
    #[must_use]
    pub fn claim_lifetime(mut self, lifetime: Duration) -> Self {
        self.claim_lifetime = lifetime;
        self
    }

    /// Refuses a place that holds what a save must not replace, as [`begin`](StorageWriter::begin) does, but starts no save: for who has much to
    /// do before it saves.
    ///
    /// # Errors
    /// [`StorageError::Exists`], [`StorageError::NoCheckpoint`] for another file than the format's, and whatever the store reports.
    pub async fn refuse_occupied(&self) -> Result<(), StorageError> {
        match self.one_file() {
            Some(save) => save.refuse(&self.one_file_path(), self.overwrite).await,
            None => self.refuse(&self.store.list(None).await?).await,
        }
    }

    /// What a format of one file calls its file here.
    fn one_file_path(&self) -> StorePath {
        self.store.traits().one_object.unwrap_or_else(|| self.format.index_path())
    }

    /// How a format is saved that is one file.
    fn one_file(&self) -> Option<OneFileSave<'_>> {
        let file = self.format.one_file()?;
        Some(OneFileSave { format: &*self.format, file, store: &*self.store, in_order: &self.in_order })
    }

    /// Refuses a place that holds what must not be replaced, before anything is written there.
    async fn refuse(&self, listing: &[ObjectMeta]) -> Result<(), StorageError> {
        let index = self.format.index_path();
        let refused = |found: &&ObjectMeta| if found.path == index { !self.overwrite } else { is_index(&found.path) };
        let found = match listing.iter().find(refused) {
            Some(found) => Some(found.path.clone()),
            None => named_indexes(&*self.store, listing, |path| *path == index).await?.pop_first(),
        };
        found.map_or(Ok(()), |found| Err(self.exists(found.to_string())))
    }

    /// Claims a generation that is higher than that of the index, and reads what it will replace.
    pub(super) async fn claim(&self, claim: &Claim, listing: &[ObjectMeta]) -> Result<Token, StorageError> {
        self.refuse(listing).await?;
        let mut lowest = traces::first_free(listing)?;
        loop {
            let generation = claim.stake(&*self.store, lowest).await?;
            let base = self.base().await;
            lowest = match &base {
                Ok(Some(Base { generation: Some(current), .. })) if *current >= generation => *current,
                Ok(_) => return Ok(Token { generation, saver: claim.saver.clone(), base: base? }),
                Err(_) => generation,
            };
            // Others have been here since we looked. See the module on claims for why this one is of no use.
            drop(claim::release(&*self.store, generation).await);
            base?;
            lowest = claim::after(lowest)?;
        }
    }

    /// The checkpoint that is there now.
    pub(super) async fn base(&self) -> Result<Option<Base>, StorageError> {
        let index = self.format.index_path();
        match read_whole(&*self.store, &index).await {
            Ok(_) if !self.overwrite => Err(self.exists(index.to_string())),
            Ok((content, version)) => Ok(Some(Base { generation: self.format.generation(&content).ok(), version })),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the files of a rank; returns their names and sizes as well.
    pub(super) async fn write_files(
        &self,
        token: &Token,
        plan: &RankPlan,
        source: &dyn WriteSource,
        io: &Io<'_>,
    ) -> Result<(WriteResult, Vec<(StorePath, u64)>), StorageError> {
        let files = self.format.lay_out(plan, token.generation)?;
        let source = Encoding { source, format: &*self.format, plan };
        let writes = files.into_iter().map(|layout| write_file(&*self.store, layout, &source, io)).collect();
        let mut written = io.run(writes, 1)?;
        written.sort_by(|a, b| a.path.cmp(&b.path));
        let mut report = WriteReport { files: written.len() as u64, ..WriteReport::default() };
        for file in &written {
            report.written += file.size;
            let items = file.segments.iter().filter(|segment| segment.item.is_some());
            report.data += items.map(|segment| segment.length).sum::<u64>();
        }
        let files = self.format.summarise(&written)?;
        let sizes = written.iter().map(|file| (file.path.clone(), file.size)).collect();
        let mut values = Vec::new();
        if let Some(companions) = self.format.companions() {
            let collected = companions.collected(plan.outline());
            values = source.values(|entry| collected.contains(&entry))?;
            report.wrote(&values);
        }
        Ok((WriteResult { report, summary: wire::encode(&Summary { files, values })? }, sizes))
    }

    /// Commits what all ranks have written, by a saver whose claim was its own a moment ago.
    pub(super) async fn commit_all(
        &self,
        token: &Token,
        plan: &GlobalPlan,
        results: &[(Rank, WriteResult)],
        io: &Io<'_>,
    ) -> Result<(), StorageError> {
        let (mut summaries, mut values) = (Vec::with_capacity(results.len()), Vec::new());
        for (rank, result) in results {
            let summary: Summary = wire::decode(&result.summary)?;
            summaries.push((*rank, summary.files));
            values.extend(summary.values);
        }
        values.sort_by_key(|(entry, _)| *entry);
        let index = self.format.encode_index(plan, &summaries, token.generation)?;
        let companions = match self.format.companions() {
            Some(companions) => companions.encode(plan, &summaries, &values, token.generation)?,
            None => Vec::new(),
        };
        let companions = Written::write(&*self.store, companions, io).await?;
        match self.commit(token, &index).await {
            Ok(()) => io.advance(index.len() as u64),
            // The index may be there by now, and speak of them.
            Err(error @ StorageError::CommitUnknown { .. }) => return Err(error),
            Err(error) => {
                companions.take_back().await;
                return Err(error);
            }
        }
        let replaced = token.base.as_ref().and_then(|base| base.generation);
        // The checkpoint is there. What could not be removed now is removed by a later save.
        let (index, removed) = (self.format.index_path(), |bytes| io.advance(bytes));
        drop(traces::clean_up(&*self.store, &index, token.generation, replaced, &removed).await);
        Ok(())
    }

    /// The generation of the index that is there now; `None` as well if it is one that could not be read when the save began.
    pub(super) async fn committed(&self, base: Option<&Base>) -> Result<Option<Generation>, StorageError> {
        match read_whole(&*self.store, &self.format.index_path()).await {
            Ok((index, version)) => match self.format.generation(&index) {
                Ok(generation) => Ok(Some(generation)),
                Err(_) if base.is_some_and(|base| base.version == version) => Ok(None),
                // What cannot be read may be the save's own, and speak of its files.
                Err(error) => Err(error),
            },
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn exists(&self, found: String) -> StorageError {
        StorageError::Exists { location: self.store.location(), found }
    }

    /// Publishes the index, and finds out what became of it if the store does not say.
    ///
    /// Only a store that says so has made it durable. So an index that is seen there after an error is published once more over itself.
    async fn commit(&self, token: &Token, index: &[u8]) -> Result<(), StorageError> {
        let path = self.format.index_path();
        let mut when = match &token.base {
            None => Precondition::Absent,
            Some(base) => Precondition::Matches(base.version.clone()),
        };
        let unknown = |source| {
            let location = self.store.location();
            StorageError::CommitUnknown { location, source: Box::new(source) }
        };
        let mut attempts = COMMIT_ATTEMPTS;
        loop {
            attempts -= 1;
            let error = match self.store.publish(&path, index, when.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let refused = matches!(error, StorageError::PreconditionFailed { .. });
            match read_whole(&*self.store, &path).await {
                Ok((content, version)) if content == index => {
                    if attempts == 0 {
                        return Err(unknown(error));
                    }
                    when = Precondition::Matches(version);
                }
                // Somebody else was first, which stays so.
                Ok(_) | Err(StorageError::NotFound { .. }) if refused => return Err(error),
                // A request that is still on its way may yet arrive.
                Ok(_) | Err(StorageError::NotFound { .. }) if attempts == 0 => {
                    return Err(if error.is_retryable() { unknown(error) } else { error });
                }
                Err(source) if attempts == 0 => return Err(unknown(source)),
                Ok(_) | Err(_) => {}
            }
        }
    }
}

#[async_trait]
impl StorageWriter for ComposedWriter {
    async fn begin(&self, ranks: &RankSet) -> Result<SaveToken, StorageError> {
        if let Some(save) = self.one_file() {
            return save.begin(self.one_file_path(), ranks, self.overwrite).await;
        }
        let listing = self.store.list(None).await?;
        self.claim(&Claim::new(Some(self.format.index_path()), self.claim_lifetime), &listing).await?.encode()
    }

    fn prepare_global_plan(&self, plan: GlobalPlan) -> Result<GlobalPlan, StorageError> {
        self.format.check(&plan)?;
        Ok(plan)
    }

    async fn write_data(
        &self,
        token: &SaveToken,
        plan: &RankPlan,
        source: &dyn WriteSource,
        io: &Io<'_>,
    ) -> Result<WriteResult, StorageError> {
        if let Some(save) = self.one_file() {
            return save.write_data(token, plan, source, io).await;
        }
        self.write_files(&Token::decode(token)?, plan, source, io).await.map(|(result, _)| result)
    }

    async fn finish(
        &self,
        token: &SaveToken,
        plan: &GlobalPlan,
        results: &[(Rank, WriteResult)],
        io: &Io<'_>,
    ) -> Result<(), StorageError> {
        if let Some(save) = self.one_file() {
            return save.finish(token, plan, results, io).await;
        }
        let token = Token::decode(token)?;
        let index = self.format.index_path();
        claim::renew(&*self.store, token.generation, &token.saver, index, self.claim_lifetime).await?;
        self.commit_all(&token, plan, results, io).await
    }

    async fn abort(&self, token: &SaveToken, ranks_stopped: bool) -> Result<(), StorageError> {
        if let Some(save) = self.one_file() {
            return save.abort(token).await;
        }
        let Token { generation, saver, base } = Token::decode(token)?;
        // If it cannot be told whether it is committed, its files may be in use.
        let current = self.committed(base.as_ref()).await?;
        if current == Some(generation) {
            return Ok(());
        }
        match claim::on_record(&*self.store, generation).await? {
            Some(claim) if claim.saver == saver => {}
            // It had expired, and a later save has removed it: what we have written since then is left.
            None if current > Some(generation) => {}
            // This was done before, and the generation may be somebody else's by now.
            _ => return Ok(()),
        }
        let traces = Traces::in_store(&*self.store).await?;
        if ranks_stopped && traces.is_complete() {
            traces::remove(&*self.store, &traces, generation, &|_| {}).await
        } else {
            // The claim stays, so that what a straggler still writes is found when the claim has expired.
            traces::remove_data(&*self.store, &traces, generation, &|_| {}).await?;
            traces.complete()
        }
    }
}

/// How often the index is published before its outcome is left unknown.
const COMMIT_ATTEMPTS: usize = 4;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) generation: Generation,
    /// Whose claim on the generation this is.
    pub(super) saver: String,
    pub(super) base: Option<Base>,
}

/// The checkpoint that a save replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base {
    /// `None` if its index could not be read: its files are then left alone.
    pub(super) generation: Option<Generation>,
    pub(super) version: Version,
}

/// What a rank has written.
#[derive(Serialize, Deserialize)]
struct Summary {
    /// As the format says it.
    files: Bytes,
    /// Values that go into companions of the index.
    values: Vec<(usize, Bytes)>,
}

impl Token {
    pub(super) fn encode(&self) -> Result<SaveToken, StorageError> {
        wire::encode(self).map(SaveToken)
    }

    pub(super) fn decode(token: &SaveToken) -> Result<Self, StorageError> {
        wire::decode(&token.0)
    }
}
