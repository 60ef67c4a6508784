//! What Lightning saves beside the tensors: `meta.pt`, an archive of `torch.save` with everything else of the state
//! (`lightning/fabric/strategies/fsdp.py`, `_METADATA_FILENAME`).

use dcp_storage::{Ask, Need, Reply, Step, StorageError, StorePath};

use crate::archive::{Known, Lack};
use crate::object::{Leaf, SavedTree};

/// The file, read: the leaves of its state, of which tensors are not read yet.
#[derive(Debug)]
pub(super) struct Companion {
    pub(super) leaves: Vec<Leaf>,
    pub(super) size: u64,
}

impl Companion {
    pub(super) fn path() -> StorePath {
        match StorePath::parse("meta.pt") {
            Ok(path) => path,
            Err(_) => unreachable!("a constant that is a valid path"),
        }
    }
}

/// Reads all of the file but its tensors.
pub(super) struct ReadCompanion {
    known: Known,
    asked: Option<u64>,
    rounds: usize,
}

/// Of a file of at most so many bytes all is read at once, of a longer one as much from its end.
const EDGE: u64 = 64 << 10;
/// Each storage is asked for by itself.
const ROUNDS: usize = 1 << 16;

impl ReadCompanion {
    pub(super) fn new(size: u64) -> Self {
        Self { known: Known::new(size), asked: None, rounds: 0 }
    }
}

impl Ask for ReadCompanion {
    type Output = Companion;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Companion>, StorageError> {
        match (self.asked.take(), replies.into_iter().next()) {
            (Some(offset), Some(Reply::Bytes(bytes))) => self.known.learn(offset, bytes),
            _ => {
                let start = self.known.length().saturating_sub(EDGE);
                return Ok(self.ask(start, self.known.length() - start));
            }
        }
        match SavedTree::read(&self.known) {
            Ok(tree) => Ok(Step::Done(Companion { leaves: tree.leaves, size: self.known.length() })),
            Err(Lack::Bytes { offset, length }) if self.rounds < ROUNDS => Ok(self.ask(offset, length)),
            Err(lack) => Err(lack.into_fault().into_error(&Companion::path(), 0)),
        }
    }
}

impl ReadCompanion {
    fn ask(&mut self, offset: u64, length: u64) -> Step<Companion> {
        self.rounds += 1;
        self.asked = Some(offset);
        Step::Needs(vec![Need::Range { path: Companion::path(), offset, length }])
    }
}
