//! Reads all of a file but its storages.

use std::sync::OnceLock;

use bytes::Bytes;
use dcp_storage::{Ask, Need, Reply, Step, StorageError, StorePath};
use dcp_types::Digest;

use super::SavedFile;
use super::legacy::{LONGEST_MAGIC, Legacy, is_legacy};
use super::objects::Objects;
use crate::archive::{Archive, Known, Lack, MAX_PICKLE, Storages, unreadable};
use crate::object::{Leaf, LeafContent, SavedTree, TreeRead};

/// The machine that reads a file: needs its first bytes, its end, its directory, its pickles, and the tensors that are inside of values.
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
        let Contents { pickle, start, storages, fingerprint } = self.contents()?;
        let leaves = match SavedTree::read(&*storages, &self.known, &pickle, start)? {
            TreeRead::Done(tree) => tree.leaves,
            TreeRead::Needs(ranges) => return Ok(Err(ranges)),
        };
        let position = |(number, leaf): (usize, &Leaf)| match &leaf.content {
            LeafContent::Foreign(position) => Some((number, position.clone())),
            _ => None,
        };
        let objects = Objects::new(pickle, start, leaves.iter().enumerate().filter_map(position).collect());
        let found = leaves.iter().map(|_| OnceLock::new()).collect();
        let (path, size) = (self.path.clone(), self.known.length());
        Ok(Ok(SavedFile { path, size, fingerprint, storages, leaves, objects, found }))
    }

    fn contents(&self) -> Result<Contents, Lack> {
        if is_legacy(&self.known.get(0, self.known.length().min(LONGEST_MAGIC))?) {
            let Legacy { pickle, start, storages, fingerprint } = Legacy::read(&self.known)?;
            return Ok(Contents { pickle, start, storages: Box::new(storages), fingerprint });
        }
        let archive = Archive::read(&self.known)?;
        let (pickle, start) = archive.pickle(&self.known, MAX_PICKLE)?;
        let fingerprint = archive.fingerprint(&pickle);
        Ok(Contents { pickle, start, storages: Box::new(archive), fingerprint })
    }
}

/// What is in a file of either form.
struct Contents {
    /// That of the state, and where it starts.
    pickle: Bytes,
    start: u64,
    storages: Box<dyn Storages>,
    fingerprint: Digest,
}

impl Ask for ReadSaved {
    type Output = SavedFile;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<SavedFile>, StorageError> {
        if self.rounds == 0 {
            let length = self.known.length();
            let end = length.saturating_sub(EDGE);
            let beginning = (0, length.min(LONGEST_MAGIC));
            let ranges = if end == 0 { vec![(0, length)] } else { vec![beginning, (end, length - end)] };
            return Ok(self.ask(ranges));
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
