//! Reads all of a file but its tensors.

use std::sync::OnceLock;

use dcp_storage::{Ask, Need, Reply, Step, StorageError, StorePath};

use super::SavedFile;
use crate::archive::{Archive, Known, Lack, MAX_PICKLE, unreadable};
use crate::object::{SavedTree, TreeRead};

/// The machine that reads a file: needs its end, its directory, its pickle, and the tensors that are inside of values.
pub(crate) struct ReadSaved {
    path: StorePath,
    known: Known,
    asked: Vec<u64>,
    rounds: usize,
}

/// Of a file of at most so many bytes all is read at once, of a longer one as much from its end.
const EDGE: u64 = 64 << 10;
/// Records lead to one another, headers to contents; more often than this a file has not to be asked.
const ROUNDS: usize = 64;

impl ReadSaved {
    pub(crate) fn new(path: StorePath, size: u64) -> Self {
        Self { path, known: Known::new(size), asked: Vec::new(), rounds: 0 }
    }

    fn ask(&mut self, ranges: Vec<(u64, u64)>) -> Step<SavedFile> {
        self.rounds += 1;
        self.asked = ranges.iter().map(|(offset, _)| *offset).collect();
        let need = |(offset, length)| Need::Range { path: self.path.clone(), offset, length };
        Step::Needs(ranges.into_iter().map(need).collect())
    }

    fn read(&self) -> Result<Result<SavedFile, Vec<(u64, u64)>>, Lack> {
        let archive = Archive::read(&self.known)?;
        let (pickle, start) = archive.pickle(&self.known, MAX_PICKLE)?;
        let leaves = match SavedTree::read(&archive, &self.known, &pickle, start)? {
            TreeRead::Done(tree) => tree.leaves,
            TreeRead::Needs(ranges) => return Ok(Err(ranges)),
        };
        let found = leaves.iter().map(|_| OnceLock::new()).collect();
        let (path, size, fingerprint) = (self.path.clone(), self.known.length(), archive.fingerprint(&pickle));
        Ok(Ok(SavedFile { path, size, fingerprint, archive, leaves, found }))
    }
}

impl Ask for ReadSaved {
    type Output = SavedFile;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<SavedFile>, StorageError> {
        if self.rounds == 0 {
            let start = self.known.length().saturating_sub(EDGE);
            return Ok(self.ask(vec![(start, self.known.length() - start)]));
        }
        for (offset, reply) in std::mem::take(&mut self.asked).into_iter().zip(replies) {
            if let Reply::Bytes(bytes) = reply {
                self.known.learn(offset, bytes);
            }
        }
        let ranges = match self.read() {
            Ok(Ok(file)) => return Ok(Step::Done(file)),
            Ok(Err(ranges)) => ranges,
            Err(Lack::Bytes { offset, length }) => vec![(offset, length)],
            Err(lack) => return Err(lack.into_fault().into_error(&self.path, 0)),
        };
        if self.rounds < ROUNDS {
            return Ok(self.ask(ranges));
        }
        Err(unreadable(0, "records that lead from one to the next").into_fault().into_error(&self.path, 0))
    }
}
