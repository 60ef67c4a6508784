//! Claims: how savers keep out of each other's way, and how [leftovers](super::traces) are told from files in use.
//!
//! Why no generation is used again that others may still know, so that nobody's files are taken for another's:
//!
//! * A saver reads the index after it has claimed, and gives its claim up unless its generation is higher than that of the
//!   index. So the generation of the index only ever rises.
//! * Others remove a claim only if it is lower than the index that they have just published. Who claims that number again sees
//!   an index that is not lower, and gives up before it has written anything.
//! * A saver removes its own claim only when nobody writes for it any more.
//! * A clean-up without a save of its own first replaces an expired claim by its own ([`leftovers`](super::leftovers)); so a saver looks at its
//!   claim before it commits, puts it on record once more if it is old, and is refused if it is not its own any more.
//! * A claim names the index of its save. So an index of a format that nobody knows here [is known for one](super::named), and with it that
//!   the generation may be in use although its claim, which stays after the commit, has expired.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::journal::Journal;
use crate::engine::read_whole;
use crate::names::claim_path;
use crate::{Generation, Precondition, StorageError, Store, StorePath, Version};

/// What a saver records before it writes anything under a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// Tells this saver from any other.
    pub(super) saver: String,
    /// From when on the claim may be taken for abandoned, in seconds since 1970.
    pub(super) expires: u64,
    /// The index that the save publishes. Claims of older versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<StorePath>,
    /// Whether the index may be published from now on. It tells a renewal from the claim that it replaces, whatever the clock says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_committing: bool,
    /// What another process must know to take the save up, if it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<Journal>,
}

impl Claim {
    pub(super) fn new(index: Option<StorePath>, lifetime: Duration) -> Self {
        let expires = now().saturating_add(lifetime.as_secs());
        Self { saver: uuid::Uuid::new_v4().to_string(), expires, index, is_committing: false, journal: None }
    }

    /// Claims the first free generation from `lowest` on.
    pub(super) async fn stake(&self, store: &dyn Store, lowest: Generation) -> Result<Generation, StorageError> {
        let content = self.encode()?;
        let (mut generation, mut unexplained) = (lowest, 0);
        loop {
            match store.publish(&claim_path(generation)?, &content, Precondition::Absent).await {
                Ok(_) => return Ok(generation),
                Err(error) => {
                    // The response may have been lost after the claim was made.
                    match (error, on_record(store, generation).await) {
                        (_, Ok(Some(claim))) if claim == *self => return Ok(generation),
                        // Its holder has gone meanwhile; or the store refuses whatever it is asked.
                        (error @ StorageError::PreconditionFailed { .. }, Ok(None)) => {
                            unexplained += 1;
                            if unexplained == UNEXPLAINED {
                                return Err(error);
                            }
                            generation = after(generation)?;
                        }
                        (StorageError::PreconditionFailed { .. }, found) => {
                            found?;
                            generation = after(generation)?;
                        }
                        (error, _) => return Err(error),
                    }
                }
            }
        }
    }

    /// Whether it may be taken for abandoned.
    pub(super) fn has_expired(&self) -> bool {
        self.expires <= now()
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, StorageError> {
        rmp_serde::to_vec_named(self)
            .map_err(|fault| StorageError::Unsupported { format: "claim", what: fault.to_string() })
    }
}

/// The generation after this one.
pub(super) fn after(generation: Generation) -> Result<Generation, StorageError> {
    generation.checked_add(1).ok_or_else(|| StorageError::Unsupported {
        format: "claim",
        what: format!("a generation after {generation}, of which there are traces"),
    })
}

/// The claim on record for a generation, if there is one that can be read.
pub(super) async fn on_record(store: &dyn Store, generation: Generation) -> Result<Option<Claim>, StorageError> {
    Ok(read(store, generation).await?.and_then(|(content, _)| rmp_serde::from_slice(&content).ok()))
}

/// What is on record for a generation, as it is, and its version.
pub(super) async fn read(store: &dyn Store, generation: Generation) -> Result<Option<(Bytes, Version)>, StorageError> {
    match read_whole(store, &claim_path(generation)?).await {
        Ok(found) => Ok(Some(found)),
        Err(StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts a claim on record under a condition; `None` if it is not met.
pub(super) async fn put(
    store: &dyn Store,
    generation: Generation,
    claim: &[u8],
    when: Precondition,
) -> Result<Option<Version>, StorageError> {
    match store.publish(&claim_path(generation)?, claim, when).await {
        Ok(version) => Ok(Some(version)),
        Err(error) => match read(store, generation).await? {
            // The response may have been lost after it was done.
            Some((found, version)) if found == claim => Ok(Some(version)),
            _ if matches!(error, StorageError::PreconditionFailed { .. }) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Makes sure that the claim of a save that is about to commit is its own, and will be for another while: puts it on record once more unless it
/// holds for half a lifetime anyway. Most do. (ext4 writes a file out before it lets it replace another, behind all that the save has written.)
///
/// # Errors
/// [`StorageError::PreconditionFailed`] if it is not the save's own any more: somebody has taken the save for dead, and may have removed
/// what it wrote.
pub(super) async fn renew(
    store: &dyn Store,
    generation: Generation,
    saver: &str,
    index: StorePath,
    lifetime: Duration,
) -> Result<(), StorageError> {
    let path = claim_path(generation)?;
    let lost = |found: &str| StorageError::PreconditionFailed {
        location: store.location(),
        path: path.clone(),
        expected: "the claim of this save".into(),
        found: found.into(),
    };
    let renewed = Claim { saver: saver.into(), is_committing: true, ..Claim::new(Some(index), lifetime) };
    let content = renewed.encode()?;
    let mut attempts = RENEWALS;
    loop {
        attempts -= 1;
        let Some((found, version)) = read(store, generation).await? else { return Err(lost("none")) };
        if found == content {
            // The response was lost.
            return Ok(());
        }
        match rmp_serde::from_slice::<Claim>(&found) {
            Ok(claim) if claim.saver != saver => return Err(lost("the claim of another")),
            Ok(claim) if claim.expires > now().saturating_add(lifetime.as_secs() / 2) => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err(lost("what is no claim")),
        }
        match store.publish(&path, &content, Precondition::Matches(version)).await {
            Ok(_) => return Ok(()),
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

/// How often a claim may be refused where none is found.
const UNEXPLAINED: usize = 64;

/// How often a renewal is published before it is given up.
const RENEWALS: usize = 4;

/// Removes a claim under which nothing was written.
pub(super) async fn release(store: &dyn Store, generation: Generation) -> Result<(), StorageError> {
    store.delete(&claim_path(generation)?).await
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What claims were before they named their index.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Older {
        saver: String,
        expires: u64,
    }

    #[test]
    fn older_versions_and_this_one_read_each_others_claims() {
        let index = StorePath::parse("index").expect("a path");
        let claim = Claim::new(Some(index), Duration::from_secs(60));
        let content = claim.encode().expect("encoded");
        assert_eq!(rmp_serde::from_slice::<Claim>(&content).expect("a claim"), claim);
        let older = rmp_serde::from_slice::<Older>(&content).expect("a claim to older versions");
        assert_eq!(older, Older { saver: claim.saver.clone(), expires: claim.expires });
        let content = rmp_serde::to_vec_named(&older).expect("encoded");
        assert_eq!(rmp_serde::from_slice::<Claim>(&content).expect("a claim"), Claim { index: None, ..claim });
    }
}
