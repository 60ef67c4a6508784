//! The journal of a resumable save. It is a part of the save's claim, so that one object, changed only by conditional publication,
//! decides whose the save is and what of it is done.
//!
//! Why no index ever refers to a file that somebody removes, however many processes believe that the save is theirs:
//!
//! * Who has lost the claim learns so at its next change, and only after a change does it do what others could not bear: it commits only
//!   after [`Phase::Complete`], and removes files that may be somebody's only after [`Phase::Clearing`].
//! * From `Clearing` on nobody takes the save over, so files that are removed late are nobody's. Only the process that removes them
//!   leads out of it, when it is done with that.
//! * From `Complete` on nothing is written any more, and only the process that completed it, with the claim still its own, may remove files.
//!   Whoever takes it over then publishes the same index, or leaves everything as it is.

use std::time::Duration;

use dcp_types::{Digest, Rank};
use serde::{Deserialize, Serialize};

use super::claim::{self, Claim};
use super::writer::Base;
use crate::names::claim_path;
use crate::{Generation, Precondition, StorageError, Store, StorePath, Version, WriteResult};

/// What another process must know to take a save up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// Tells this save from others: all that its files depend on.
    pub(super) key: Digest,
    pub(super) phase: Phase,
    /// The checkpoint that is to be replaced. Not known yet in [`Phase::Claimed`].
    pub(super) base: Option<Base>,
    /// What was written, and is durable.
    pub(super) done: Vec<Done>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Nothing is on record.
    Claimed,
    /// Ranks are being written.
    Writing,
    /// Files may be removed at any time.
    Clearing,
    /// Everything is on record, and the index may be published at any time.
    Complete {
        /// Who found it so first.
        by: String,
    },
}

/// A rank that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) rank: Rank,
    pub(super) result: WriteResult,
    /// Its files with their sizes, in bytes.
    pub(super) files: Vec<(StorePath, u64)>,
}

impl Journal {
    pub(super) fn new(key: Digest) -> Self {
        Self { key, phase: Phase::Claimed, base: None, done: Vec::new() }
    }
}

/// A claim with a journal, as this process has last put it on record.
pub(super) struct Owned {
    pub(super) generation: Generation,
    pub(super) saver: String,
    pub(super) journal: Journal,
    index: StorePath,
    version: Version,
    lifetime: Duration,
}

/// How often a change is published before it is given up.
const ATTEMPTS: usize = 4;

impl Owned {
    /// The claim that has just been staked.
    pub(super) async fn staked(
        store: &dyn Store,
        generation: Generation,
        claim: Claim,
        index: StorePath,
        lifetime: Duration,
    ) -> Result<Self, StorageError> {
        let (Some((content, version)), expected) = (claim::read(store, generation).await?, claim.encode()?) else {
            return Err(taken_over(store));
        };
        match claim.journal {
            Some(journal) if content == expected => {
                Ok(Self { generation, saver: claim.saver, journal, index, version, lifetime })
            }
            _ => Err(taken_over(store)),
        }
    }

    /// Takes over what is on record in this version; `None` if it is not any more.
    pub(super) async fn take_over(
        store: &dyn Store,
        generation: Generation,
        (journal, version): (Journal, Version),
        index: StorePath,
        lifetime: Duration,
    ) -> Result<Option<Self>, StorageError> {
        let claim = Claim { journal: Some(journal.clone()), ..Claim::new(Some(index.clone()), lifetime) };
        let version = claim::put(store, generation, &claim.encode()?, Precondition::Matches(version)).await?;
        Ok(version.map(|version| Self { generation, saver: claim.saver, journal, index, version, lifetime }))
    }

    /// Puts a change on record.
    ///
    /// # Errors
    /// [`StorageError::TakenOver`] if the claim is another's by now.
    pub(super) async fn change(&mut self, store: &dyn Store, journal: Journal) -> Result<(), StorageError> {
        self.put(store, Some(&journal)).await?;
        self.journal = journal;
        Ok(())
    }

    /// Takes the journal off the record. The claim stays, as that of any save.
    pub(super) async fn close(mut self, store: &dyn Store) -> Result<(), StorageError> {
        self.put(store, None).await
    }

    async fn put(&mut self, store: &dyn Store, journal: Option<&Journal>) -> Result<(), StorageError> {
        let renewed = Claim::new(Some(self.index.clone()), self.lifetime);
        let claim = Claim { saver: self.saver.clone(), journal: journal.cloned(), ..renewed };
        let (path, content) = (claim_path(self.generation)?, claim.encode()?);
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            let error = match store.publish(&path, &content, Precondition::Matches(self.version.clone())).await {
                Ok(version) => {
                    self.version = version;
                    return Ok(());
                }
                Err(error) => error,
            };
            match claim::read(store, self.generation).await {
                Ok(Some((found, version))) => {
                    let owner = rmp_serde::from_slice::<Claim>(&found).map(|claim| claim.saver);
                    if owner.is_ok_and(|saver| saver != self.saver) {
                        return Err(taken_over(store));
                    }
                    // This change, or an earlier one of ours that came late.
                    self.version = version;
                    if found == content {
                        return Ok(());
                    }
                }
                Ok(None) => return Err(taken_over(store)),
                Err(_) => {}
            }
            if attempts == 0 {
                return Err(error);
            }
        }
    }
}

pub(super) fn taken_over(store: &dyn Store) -> StorageError {
    StorageError::TakenOver { location: store.location() }
}
