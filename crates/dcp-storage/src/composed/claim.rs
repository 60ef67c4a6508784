//! Claims: how savers keep out of each other's way, and how leftovers are told from files in use.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::names::{claim_path, claimed_generation};
use crate::{DataName, Generation, ObjectMeta, Precondition, StorageError, Store};

/// What a saver records before it writes anything under a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// Tells this saver from any other.
    pub(super) saver: String,
    /// When the claim may be taken for abandoned, in seconds since 1970.
    pub(super) expires: u64,
}

impl Claim {
    pub(super) fn new(lifetime: Duration) -> Self {
        let expires = now().saturating_add(lifetime.as_secs());
        Self { saver: uuid::Uuid::new_v4().to_string(), expires }
    }

    /// Claims the first free generation that is higher than any that left a trace.
    pub(super) async fn stake(&self, store: &dyn Store, listing: &[ObjectMeta]) -> Result<Generation, StorageError> {
        let used = listing.iter().filter_map(|object| {
            claimed_generation(&object.path).or_else(|| DataName::parse(&object.path).map(|name| name.generation))
        });
        let mut generation = used.max().map_or(0, |highest| highest.saturating_add(1));
        let content = self.encode()?;
        loop {
            let path = claim_path(generation)?;
            match store.publish(&path, &content, Precondition::Absent).await {
                Ok(_) => return Ok(generation),
                Err(StorageError::PreconditionFailed { .. }) if self.stands(store, generation).await? => {
                    return Ok(generation);
                }
                Err(StorageError::PreconditionFailed { .. }) => generation = generation.saturating_add(1),
                // The response may have been lost after the claim was made.
                Err(error) => match self.stands(store, generation).await {
                    Ok(true) => return Ok(generation),
                    _ => return Err(error),
                },
            }
        }
    }

    /// Whether this very claim is the one on record.
    async fn stands(&self, store: &dyn Store, generation: Generation) -> Result<bool, StorageError> {
        Ok(super::read_whole(store, &claim_path(generation)?).await?.0 == self.encode()?)
    }

    fn encode(&self) -> Result<Vec<u8>, StorageError> {
        rmp_serde::to_vec_named(self)
            .map_err(|fault| StorageError::Unsupported { format: "claim", what: fault.to_string() })
    }
}

/// Removes what savers before `generation` have left: the files of the save that it replaced, and those of claims
/// that have expired. A claim is removed last, so that an interrupted clean-up is taken up again.
pub(super) async fn clean_up(
    store: &dyn Store,
    generation: Generation,
    replaced: Option<Generation>,
) -> Result<(), StorageError> {
    let listing = store.list(None).await?;
    for object in &listing {
        let Some(claimed) = claimed_generation(&object.path).filter(|claimed| *claimed < generation) else { continue };
        if Some(claimed) == replaced || has_expired(store, object).await {
            remove(store, &listing, claimed).await?;
        }
    }
    Ok(())
}

/// Removes the data files of a generation, then its claim.
pub(super) async fn remove(
    store: &dyn Store,
    listing: &[ObjectMeta],
    generation: Generation,
) -> Result<(), StorageError> {
    remove_data(store, listing, generation).await?;
    store.delete(&claim_path(generation)?).await
}

/// Removes the data files of a generation.
pub(super) async fn remove_data(
    store: &dyn Store,
    listing: &[ObjectMeta],
    generation: Generation,
) -> Result<(), StorageError> {
    for object in listing {
        if DataName::parse(&object.path).is_some_and(|name| name.generation == generation) {
            store.delete(&object.path).await?;
        }
    }
    Ok(())
}

/// Whether a claim is past its time. One that cannot be read is nobody's to remove.
async fn has_expired(store: &dyn Store, claim: &ObjectMeta) -> bool {
    let Ok((content, _)) = super::read_whole(store, &claim.path).await else { return false };
    rmp_serde::from_slice::<Claim>(&content).is_ok_and(|claim| claim.expires < now())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
