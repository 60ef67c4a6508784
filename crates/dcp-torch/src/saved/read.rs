//! Reads all of a file but its tensors.

use std::sync::OnceLock;

use dcp_storage::{Ask, Need, Reply, Step, StorageError, StorePath};

use super::SavedFile;
use crate::archive::{Archive, Known, Lack};
use crate::object::SavedTree;

/// The machine that reads a file: needs its end, its directory, its pickle, and the tensors that are inside of values.
pub(crate) struct ReadSaved {
    path: StorePath,
    known: Known,
    asked: Option<u64>,
    rounds: usize,
}

/// Of a file of at most so many bytes all is read at once, of a longer one as much from its end.
const EDGE: u64 = 64 << 10;
/// The most storages that are read one after the other for values.
const ROUNDS: usize = 1 << 12;

impl ReadSaved {
    pub(crate) fn new(path: StorePath, size: u64) -> Self {
        Self { path, known: Known::new(size), asked: None, rounds: 0 }
    }

    fn ask(&mut self, offset: u64, length: u64) -> Step<SavedFile> {
        self.rounds += 1;
        self.asked = Some(offset);
        Step::Needs(vec![Need::Range { path: self.path.clone(), offset, length }])
    }
}

impl Ask for ReadSaved {
    type Output = SavedFile;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<SavedFile>, StorageError> {
        match (self.asked.take(), replies.into_iter().next()) {
            (Some(offset), Some(Reply::Bytes(bytes))) => self.known.learn(offset, bytes),
            _ => {
                let start = self.known.length().saturating_sub(EDGE);
                return Ok(self.ask(start, self.known.length() - start));
            }
        }
        let read = Archive::read(&self.known).and_then(|archive| {
            let (pickle, _) = archive.pickle(&self.known)?;
            Ok((SavedTree::read(&archive, &self.known)?, pickle, archive))
        });
        match read {
            Ok((SavedTree { leaves }, pickle, archive)) => {
                let found = leaves.iter().map(|_| OnceLock::new()).collect();
                let fingerprint = archive.fingerprint(&pickle);
                let (path, size) = (self.path.clone(), self.known.length());
                Ok(Step::Done(SavedFile { path, size, fingerprint, archive, leaves, found }))
            }
            Err(Lack::Bytes { offset, length }) if self.rounds < ROUNDS => Ok(self.ask(offset, length)),
            Err(lack) => Err(lack.into_fault().into_error(&self.path, 0)),
        }
    }
}
