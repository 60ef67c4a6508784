//! Finds leaves in a file: needs the header before each storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use dcp_storage::{Ask, Locator, Need, Reply, Step, StorageError};

use super::SavedFile;
use crate::archive::{Known, malformed};

/// The machine that finds the leaves of these numbers.
pub(crate) struct LocateSaved {
    file: Arc<SavedFile>,
    leaves: Vec<usize>,
    known: Known,
    /// What has been asked for.
    asked: Vec<u64>,
    found: Vec<Option<Locator>>,
    rounds: usize,
}

/// A header is read at once.
const ROUNDS: usize = 8;

impl LocateSaved {
    pub(crate) fn new(file: Arc<SavedFile>, leaves: Vec<usize>) -> Self {
        let (known, found) = (Known::new(file.size), vec![None; leaves.len()]);
        Self { file, leaves, known, asked: Vec::new(), found, rounds: 0 }
    }
}

impl Ask for LocateSaved {
    type Output = Vec<Locator>;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Vec<Locator>>, StorageError> {
        for (offset, reply) in std::mem::take(&mut self.asked).into_iter().zip(replies) {
            if let Reply::Bytes(bytes) = reply {
                self.known.learn(offset, bytes);
            }
        }
        let mut lacking = BTreeMap::new();
        for (leaf, found) in self.leaves.iter().zip(&mut self.found).filter(|(_, found)| found.is_none()) {
            let located = self.file.locator(*leaf, &self.known, &mut lacking);
            *found = located.map_err(|fault| fault.into_error(&self.file.path, 0))?;
        }
        if let Some((offset, _)) = lacking.first_key_value().filter(|_| self.rounds >= ROUNDS) {
            return Err(malformed(*offset, "it was cut off").into_fault().into_error(&self.file.path, 0));
        }
        self.rounds += 1;
        if lacking.is_empty() {
            return Ok(Step::Done(std::mem::take(&mut self.found).into_iter().flatten().collect()));
        }
        self.asked = lacking.keys().copied().collect();
        let need = |(offset, length)| Need::Range { path: self.file.path.clone(), offset, length };
        Ok(Step::Needs(lacking.into_iter().map(need).collect()))
    }
}
