//! Saves that another process can take up where one has died. See [`journal`](super::journal) for why that is safe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dcp_types::{Digest, GlobalPlan, Rank, RankPlan, RankSet};

use super::claim::{self, Claim};
use super::journal::{Done, Journal, Owned, Phase, taken_over};
use super::traces::Traces;
use super::writer::{ComposedWriter, Token};
use crate::names::claimed_generation;
use crate::{
    Generation, Io, SaveToken, StorageError, StorageWriter, Store, StorePath, WriteReport, WriteResult, WriteSource,
};

/// A save of all ranks by one process, which another process can take up if this one dies.
///
/// The steps are those of [`StorageWriter`]. Each rank that is done is put on record in the claim of the save. Who begins a save with
/// the same key later finds it, takes it over, and writes what is missing; a process that is still at it then ends with
/// [`StorageError::TakenOver`], and leaves everything to the other.
pub struct ResumableSave<'w> {
    writer: &'w ComposedWriter,
    token: SaveToken,
    /// The claim, where the save can be taken up.
    owned: Option<Mutex<Owned>>,
    /// What was found done, by rank.
    found: BTreeMap<Rank, WriteResult>,
    /// Bytes of files since the last record.
    unrecorded: Mutex<u64>,
}

/// A journal up to this size, in bytes, is always put on record.
const SMALL_JOURNAL: usize = 256 << 10;

impl ComposedWriter {
    /// Starts a save, or takes up one of this key that another process has begun. The key must stand for all that the files depend on: the
    /// content, the format with its options, and the plan.
    ///
    /// Without a key, and in a format of one file or with [`Companions`](crate::Companions), it is a save like others.
    ///
    /// # Errors
    /// As [`begin`](StorageWriter::begin).
    pub async fn begin_resumable(
        &self,
        key: Option<Digest>,
        ranks: &RankSet,
    ) -> Result<ResumableSave<'_>, StorageError> {
        let is_plain = self.format.is_one_file() || self.format.companions().is_some();
        let Some(key) = key.filter(|_| !is_plain) else {
            return Ok(ResumableSave::new(self, self.begin(ranks).await?, None));
        };
        let store = &*self.store;
        let listing = store.list(None).await?;
        let claimed: BTreeSet<Generation> =
            listing.iter().filter_map(|object| claimed_generation(&object.path)).collect();
        for generation in claimed.into_iter().rev() {
            if let Some(owned) = self.take_up(key, generation).await? {
                return ResumableSave::of(self, owned);
            }
        }
        let (index, lifetime) = (self.format.index_path(), self.claim_lifetime);
        let claim = Claim { journal: Some(Journal::new(key)), ..Claim::new(Some(index.clone()), lifetime) };
        let token = self.claim(&claim, &listing).await?;
        let mut owned = Owned::staked(store, token.generation, claim, index, lifetime).await?;
        // It goes on record with the first rank that is done.
        owned.journal.base = token.base;
        owned.journal.phase = Phase::Writing;
        ResumableSave::of(self, owned)
    }

    /// Takes over the save of a generation, if it is of this key and can be gone on with.
    async fn take_up(&self, key: Digest, generation: Generation) -> Result<Option<Owned>, StorageError> {
        let store = &*self.store;
        let Some((content, version)) = claim::read(store, generation).await? else { return Ok(None) };
        let journal = rmp_serde::from_slice::<Claim>(&content).ok().and_then(|claim| claim.journal);
        let Some(journal) = journal.filter(|journal| journal.key == key) else { return Ok(None) };
        let is_of_now = match &journal.phase {
            Phase::Clearing => false,
            Phase::Claimed => true,
            Phase::Writing => self.base().await? == journal.base,
            // Its files must not be touched any more, so all of them must be there.
            Phase::Complete { .. } => {
                let traces = Traces::in_store(store).await?;
                let all = journal.done.iter().all(|done| is_there(done, &sizes(&traces, generation)));
                all && self.base().await? == journal.base
            }
        };
        if !is_of_now {
            return Ok(None);
        }
        let (index, lifetime) = (self.format.index_path(), self.claim_lifetime);
        let taken = Owned::take_over(store, generation, (journal, version), index, lifetime).await?;
        let Some(mut owned) = taken else { return Ok(None) };
        if owned.journal.phase == Phase::Claimed {
            // As after any claim: the index is read when it is ours.
            let base = self.base().await?;
            if base.as_ref().and_then(|base| base.generation).is_some_and(|current| current >= generation) {
                return Ok(None);
            }
            owned.journal.base = base;
            owned.journal.phase = Phase::Writing;
        }
        if owned.journal.phase == Phase::Writing {
            tidy(store, &mut owned).await?;
        }
        Ok(Some(owned))
    }
}

impl<'w> ResumableSave<'w> {
    fn new(writer: &'w ComposedWriter, token: SaveToken, owned: Option<Owned>) -> Self {
        let done = owned.iter().flat_map(|owned| &owned.journal.done);
        let found = done.map(|done| (done.rank, done.result.clone())).collect();
        Self { writer, token, owned: owned.map(Mutex::new), found, unrecorded: Mutex::new(0) }
    }

    fn of(writer: &'w ComposedWriter, owned: Owned) -> Result<Self, StorageError> {
        let Owned { generation, ref saver, ref journal, .. } = owned;
        let token = Token { generation, saver: saver.clone(), base: journal.base.clone() }.encode()?;
        Ok(Self::new(writer, token, Some(owned)))
    }

    /// The ranks that were found done, with what they had written: they need not be written again.
    #[must_use]
    pub fn found(&self) -> &BTreeMap<Rank, WriteResult> {
        &self.found
    }

    /// Writes the items of a rank's plan, and puts it on record.
    ///
    /// # Errors
    /// As [`StorageWriter::write_data`], and [`StorageError::TakenOver`].
    pub async fn write_data(
        &self,
        plan: &RankPlan,
        source: &dyn WriteSource,
        io: &Io<'_>,
    ) -> Result<WriteResult, StorageError> {
        let Some(owned) = &self.owned else {
            return self.writer.write_data(&self.token, plan, source, io).await;
        };
        let token = Token::decode(&self.token)?;
        let written = self.writer.write_files(&token, plan, source, io).await;
        let (result, files) = match written {
            Ok(written) => written,
            // Who has taken the save over ends our uploads, and may write the same files.
            Err(_) if self.is_lost(token).await => return Err(taken_over(&*self.writer.store)),
            Err(error) => return Err(error),
        };
        self.record(owned, Done { rank: plan.rank(), result: result.clone(), files }, io)?;
        Ok(result)
    }

    /// Commits what all ranks have written, those that were found done among them.
    ///
    /// # Errors
    /// As [`StorageWriter::finish`], and [`StorageError::TakenOver`].
    pub async fn finish(
        &mut self,
        plan: &GlobalPlan,
        results: &[(Rank, WriteResult)],
        io: &Io<'_>,
    ) -> Result<(), StorageError> {
        let store = &*self.writer.store;
        let Some(owned) = &mut self.owned else { return self.writer.finish(&self.token, plan, results, io).await };
        let owned = owned.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !matches!(owned.journal.phase, Phase::Complete { .. }) {
            let complete = Journal { phase: Phase::Complete { by: owned.saver.clone() }, ..owned.journal.clone() };
            owned.change(store, complete).await?;
        }
        let generation = owned.generation;
        let committed = self.writer.commit_all(&Token::decode(&self.token)?, plan, results, io).await;
        if let Err(error) = committed {
            // Who had it before, or has taken it over, may have committed it.
            let is_ours = |base: Option<Generation>| base == Some(generation);
            let is_refused = matches!(error, StorageError::PreconditionFailed { .. });
            if !(is_refused && self.writer.committed(None).await.is_ok_and(is_ours)) {
                return Err(error);
            }
        }
        // The checkpoint is there; a journal that stays is removed with the generation.
        if let Some(owned) = self.owned.take() {
            let owned = owned.into_inner().unwrap_or_else(PoisonError::into_inner);
            drop(owned.close(store).await);
        }
        Ok(())
    }

    /// Removes what was written, if the save is still this process's own.
    ///
    /// # Errors
    /// Whatever keeps it from being removed.
    pub async fn abort(&mut self) -> Result<(), StorageError> {
        if let Some(owned) = &mut self.owned {
            let owned = owned.get_mut().unwrap_or_else(PoisonError::into_inner);
            if matches!(&owned.journal.phase, Phase::Complete { by } if *by != owned.saver) {
                // The index of whoever completed it may be on its way.
                return Ok(());
            }
            let clearing = Journal { phase: Phase::Clearing, ..owned.journal.clone() };
            match owned.change(&*self.writer.store, clearing).await {
                Err(StorageError::TakenOver { .. }) => return Ok(()),
                changed => changed?,
            }
        }
        self.writer.abort(&self.token, true).await
    }

    /// Whether the claim is another's by now.
    async fn is_lost(&self, Token { generation, saver, .. }: Token) -> bool {
        let claim = claim::on_record(&*self.writer.store, generation).await;
        claim.is_ok_and(|claim| claim.is_none_or(|claim| claim.saver != saver))
    }

    fn record(&self, owned: &Mutex<Owned>, done: Done, io: &Io<'_>) -> Result<(), StorageError> {
        let mut owned = lock(owned);
        let WriteReport { written, .. } = done.result.report;
        owned.journal.done.push(done);
        let mut unrecorded = lock(&self.unrecorded);
        *unrecorded = unrecorded.saturating_add(written);
        let size: usize = owned.journal.done.iter().map(|done| done.result.summary.len()).sum();
        if size > SMALL_JOURNAL && (size as u64) > *unrecorded / 8 {
            // It would cost more than writing these files again.
            return Ok(());
        }
        *unrecorded = 0;
        let journal = owned.journal.clone();
        io.block_on(owned.change(&*self.writer.store, journal))
    }
}

/// Leaves of a save that was just taken over what is on record and there; the rest is removed, to be written again.
async fn tidy(store: &dyn Store, owned: &mut Owned) -> Result<(), StorageError> {
    let traces = Traces::in_store(store).await?;
    let there = sizes(&traces, owned.generation);
    owned.journal.done.retain(|done| is_there(done, &there));
    let kept: BTreeSet<&StorePath> =
        owned.journal.done.iter().flat_map(|done| &done.files).map(|(path, _)| path).collect();
    let (objects, uploads) = traces.data_of(owned.generation);
    let uploads: Vec<_> = uploads.into_iter().filter(|path| !kept.contains(path)).collect();
    let left: Vec<_> = objects.into_iter().map(|object| &object.path).filter(|path| !kept.contains(path)).collect();
    // What is ended so cannot be on any record any more, however late it is ended. Where uploads cannot be told, they stay.
    for path in uploads {
        store.discard_unfinished(path).await?;
    }
    if !left.is_empty() {
        let clearing = Journal { phase: Phase::Clearing, ..owned.journal.clone() };
        let writing = owned.journal.clone();
        owned.change(store, clearing).await?;
        for path in left {
            store.delete(path).await?;
        }
        owned.change(store, writing).await?;
    }
    Ok(())
}

/// The data files of a generation, with their sizes.
fn sizes(traces: &Traces, generation: Generation) -> BTreeMap<&StorePath, u64> {
    traces.data_of(generation).0.into_iter().map(|object| (&object.path, object.size)).collect()
}

fn is_there(done: &Done, sizes: &BTreeMap<&StorePath, u64>) -> bool {
    done.files.iter().all(|(path, size)| sizes.get(path) == Some(size))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
