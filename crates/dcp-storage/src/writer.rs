//! The plug for saving.

use async_trait::async_trait;
use bytes::Bytes;
use dcp_types::{GlobalPlan, Rank, RankPlan, RankSet, SavePlan, Source, WriteItem};
use serde::{Deserialize, Serialize};

use crate::{Io, StorageError, WriteReport};

/// Stores a checkpoint; DCP's `StorageWriter`.
///
/// [`ComposedWriter`](crate::ComposedWriter) makes one of a [`Format`](crate::Format) and a [`Store`](crate::Store);
/// anybody may implement one directly.
///
/// # Contract
/// The steps come in the order of the methods. `begin`, `prepare_global_plan`, `finish` and `abort` run on the
/// coordinator only, the others on every rank, at the same time; only the coordinator's token travels to the other ranks.
/// Each clause is some tests of the conformance suite (feature `conformance`, `plug_conformance!`).
///
/// * **Atomic.** Until `finish` has returned, readers find what was there before; afterwards, the new checkpoint, whole.
/// * **Durable.** What `finish` has returned for survives a crash.
/// * **Exclusive.** Of two savers that race for one place, at most one `finish` succeeds for each state that both saw at `begin`.
/// * **Refusing.** Without permission to overwrite, `begin` or, at the latest, `finish` fails where a checkpoint exists.
/// * **Clean.** After `abort` nothing of the save is visible, what was there before is untouched, and so are the saves of
///   others. Where no rank can still be writing, nothing of the save is left at all. After a `finish` that has succeeded,
///   or another `abort`, it changes nothing.
/// * **Complete.** An item whose source fails, or has another size than planned, fails `write_data`.
#[async_trait]
pub trait StorageWriter: Send + Sync {
    /// Starts a save, before any data is written.
    ///
    /// # Errors
    /// Whatever keeps the save from starting, as a checkpoint that must not be overwritten.
    async fn begin(&self, ranks: &RankSet) -> Result<SaveToken, StorageError>;

    /// May change what this rank declares.
    ///
    /// # Errors
    /// Whatever is wrong with the plan for this storage.
    fn prepare_local_plan(&self, plan: SavePlan) -> Result<SavePlan, StorageError> {
        Ok(plan)
    }

    /// May change who writes what.
    ///
    /// # Errors
    /// Whatever is wrong with the plan for this storage.
    fn prepare_global_plan(&self, plan: GlobalPlan) -> Result<GlobalPlan, StorageError> {
        Ok(plan)
    }

    /// Writes the items of a rank's plan.
    ///
    /// # Errors
    /// Whatever the storage or the source of an item reports.
    async fn write_data(
        &self,
        token: &SaveToken,
        plan: &RankPlan,
        source: &dyn WriteSource,
        io: &Io<'_>,
    ) -> Result<WriteResult, StorageError>;

    /// Commits: publishes the index of what all ranks have written. Tells `io` of every object that is written or removed on the way, since all
    /// other ranks wait meanwhile.
    ///
    /// # Errors
    /// [`StorageError::PreconditionFailed`] if somebody else has committed meanwhile, and whatever the storage reports.
    async fn finish(
        &self,
        token: &SaveToken,
        plan: &GlobalPlan,
        results: &[(Rank, WriteResult)],
        io: &Io<'_>,
    ) -> Result<(), StorageError>;

    /// Removes what a failed save has written. `ranks_stopped` says that no rank can still be writing.
    ///
    /// # Errors
    /// Whatever keeps it from being removed.
    async fn abort(&self, token: &SaveToken, ranks_stopped: bool) -> Result<(), StorageError>;
}

/// Gives what write items stand for: a planner together with a state.
pub trait WriteSource: Sync {
    /// A tensor for a chunk, [`Source::Value`] for a value.
    ///
    /// # Errors
    /// [`StorageError::Source`].
    fn source(&self, item: &WriteItem) -> Result<Source<'_>, StorageError>;
}

/// What `begin` hands to all ranks. Its meaning is the writer's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveToken(pub Bytes);

/// What a rank has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteResult {
    /// In numbers.
    pub report: WriteReport,
    /// What `finish` needs to know of it. Its meaning is the writer's own.
    pub summary: Bytes,
}
