//! What savers have left in a store, and how it goes.

use std::collections::BTreeSet;

use super::claim;
use super::named::named_indexes;
use crate::names::claimed_generation;
use crate::{DataName, Generation, ObjectMeta, StorageError, Store, StorePath};

/// What savers have left in a store.
pub(super) struct Traces {
    objects: Vec<ObjectMeta>,
    /// The objects of which an upload came to no end, or why they cannot be told. The objects go nevertheless: it may
    /// be for good that a saver may not look for uploads.
    uploads: Result<Vec<StorePath>, StorageError>,
}

impl Traces {
    pub(super) async fn in_store(store: &dyn Store) -> Result<Self, StorageError> {
        // In this order: who has begun an upload had claimed before, so the claim is among the objects.
        let uploads = store.unfinished().await;
        Ok(Self { objects: store.list(None).await?, uploads })
    }

    pub(super) fn objects(&self) -> &[ObjectMeta] {
        &self.objects
    }

    /// Those that could be told.
    pub(super) fn uploads(&self) -> &[StorePath] {
        self.uploads.as_deref().unwrap_or_default()
    }

    /// Fails if the uploads cannot be told.
    pub(super) fn complete(self) -> Result<(), StorageError> {
        self.uploads.map(drop)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.uploads.is_ok()
    }

    /// The data files of a generation that are there, and those of which an upload came to no end.
    pub(super) fn data_of(&self, generation: Generation) -> (Vec<&ObjectMeta>, Vec<&StorePath>) {
        let is_theirs = |path: &StorePath| DataName::parse(path).is_some_and(|name| name.generation == generation);
        let objects = self.objects.iter().filter(|object| is_theirs(&object.path));
        (objects.collect(), self.uploads.iter().flatten().filter(|path| is_theirs(path)).collect())
    }

    /// Those of which there is anything, some of them several times.
    pub(super) fn generations(&self) -> impl Iterator<Item = Generation> {
        let begun = self.uploads.iter().flatten().filter_map(DataName::parse);
        generations(&self.objects).chain(begun.map(|name| name.generation))
    }
}

/// Is told of each object that was removed, with its bytes.
pub(super) type Removed<'r> = &'r (dyn Fn(u64) + Sync);

/// Removes what savers before `generation` have left: the files of the save that it replaced, those of claims
/// that have expired, and what a saver wrote whose claim had already been removed. A claim is removed last, so that an interrupted
/// clean-up is taken up again.
///
/// If the index of another format has come beside `index`, nobody here knows to what it refers, and everything stays.
pub(super) async fn clean_up(
    store: &dyn Store,
    index: &StorePath,
    generation: Generation,
    replaced: Option<Generation>,
    removed: Removed<'_>,
) -> Result<(), StorageError> {
    let traces = Traces::in_store(store).await?;
    if !named_indexes(store, &traces.objects, |path| path == index).await?.is_empty() {
        return traces.complete();
    }
    let past: BTreeSet<Generation> = traces.generations().filter(|past| *past < generation).collect();
    let mut outcome = Ok(());
    for past in past {
        let is_claimed = traces.objects.iter().any(|object| claimed_generation(&object.path) == Some(past));
        let is_over = match is_claimed {
            _ if Some(past) == replaced => true,
            true => has_expired(store, past).await,
            // The names of generation 0 are also PyTorch's: without a claim those files are nobody's to remove.
            false => past > 0,
        };
        if is_over {
            // What cannot be removed is no reason to leave the rest.
            outcome = outcome.and(remove(store, &traces, past, removed).await);
        }
    }
    outcome.and(traces.complete())
}

/// Removes the data files of a generation, then its claim.
pub(super) async fn remove(
    store: &dyn Store,
    traces: &Traces,
    generation: Generation,
    removed: Removed<'_>,
) -> Result<(), StorageError> {
    remove_data(store, traces, generation, removed).await?;
    claim::release(store, generation).await
}

/// Removes the data files of a generation, finished or not.
pub(super) async fn remove_data(
    store: &dyn Store,
    traces: &Traces,
    generation: Generation,
    removed: Removed<'_>,
) -> Result<(), StorageError> {
    let (objects, uploads) = traces.data_of(generation);
    let mut outcome = Ok(());
    for path in uploads {
        outcome = outcome.and(store.discard_unfinished(path).await);
        removed(1);
    }
    for object in objects {
        outcome = outcome.and(store.delete(&object.path).await);
        removed(object.size.max(1));
    }
    outcome
}

/// The first generation that is higher than any that left a trace.
pub(super) fn first_free(listing: &[ObjectMeta]) -> Result<Generation, StorageError> {
    generations(listing).max().map_or(Ok(0), claim::after)
}

/// The generation of every claim and data file.
fn generations(listing: &[ObjectMeta]) -> impl Iterator<Item = Generation> {
    let trace = |object: &ObjectMeta| {
        claimed_generation(&object.path).or_else(|| DataName::parse(&object.path).map(|name| name.generation))
    };
    listing.iter().filter_map(trace)
}

/// Whether a claim is past its time. One that cannot be read is nobody's to remove.
async fn has_expired(store: &dyn Store, generation: Generation) -> bool {
    let claim = claim::on_record(store, generation).await.ok().flatten();
    claim.is_some_and(|claim| claim.has_expired())
}
