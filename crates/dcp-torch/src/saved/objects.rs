//! The objects of a file that only Python can make.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::archive::{Lack, unreadable};
use crate::object::{self, CutObject, Position};

/// Where they are in the file's pickle, and the pickles of some by themselves.
///
/// Objects may share parts, so that all of them by themselves may take far more than the file. Kept is not more than about the size of the
/// file's pickle; beyond that they are cut out again whenever they are asked for.
#[derive(Debug)]
pub(super) struct Objects {
    pickle: Bytes,
    /// Where the pickle starts.
    start: u64,
    /// By leaf.
    positions: Vec<(usize, Position)>,
    cut: Mutex<HashMap<usize, Cut>>,
}

type Cut = Result<Arc<CutObject>, String>;

/// What is kept of a small pickle.
const LEAST: usize = 1 << 20;

impl Objects {
    /// Those in a pickle that starts at byte `start` of a file: leaves in order, with their positions.
    pub(super) fn new(pickle: Bytes, start: u64, positions: Vec<(usize, Position)>) -> Self {
        let pickle = if positions.is_empty() { Bytes::new() } else { pickle };
        Self { pickle, start, positions, cut: Mutex::default() }
    }

    /// The object that a leaf is.
    pub(super) fn get(&self, leaf: usize) -> Result<Arc<CutObject>, Lack> {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        if !cut.contains_key(&leaf) {
            // With those that come after it: most probably they are wanted next.
            let (before, from) = self.positions.split_at(self.positions.partition_point(|(other, _)| *other < leaf));
            let next = || from.iter().chain(before);
            let positions = next().map(|(_, position)| position);
            let objects = object::cut(&self.pickle, positions, LEAST + self.pickle.len());
            let objects = objects.map_err(|fault| fault.at(self.start))?;
            *cut = next().map(|(leaf, _)| *leaf).zip(objects.into_iter().map(|one| one.map(Arc::new))).collect();
        }
        match cut.get(&leaf) {
            Some(Ok(object)) => Ok(Arc::clone(object)),
            Some(Err(reason)) => Err(unreadable(self.start, reason.as_str())),
            None => Err(unreadable(self.start, "a leaf that is no object")),
        }
    }
}
