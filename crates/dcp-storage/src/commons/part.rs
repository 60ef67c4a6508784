//! The parts that are wanted, and the memory for them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::{Commons, Lent};
use crate::StorePath;

/// Which part of which file, and how it is read: parts are alike for all who want them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) file: StorePath,
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// The size of the checksum blocks that are compared; 1 where nothing is.
    pub(crate) block: u64,
}

/// All parts that somebody wants.
#[derive(Debug, Default)]
pub(super) struct Parts {
    by_place: HashMap<Place, Part>,
    /// Memory that nobody uses.
    free: Vec<Vec<u8>>,
    /// How many buffers there are, used or not.
    buffers: u64,
}

/// A part that somebody wants.
#[derive(Debug)]
struct Part {
    /// From the first byte of the file that somebody wants to the last.
    hull: Range<u64>,
    /// How many want something of it.
    takers: usize,
    /// How many bytes each of them would read for itself, in all.
    alone: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Absent,
    OnItsWay,
    Here(Arc<Lent>),
}

/// What is to be done about a part.
pub(super) enum Next {
    Take(Arc<Lent>),
    /// Read these bytes into this memory.
    Read(Range<u64>, Vec<u8>),
    Wait,
    GoAlone,
}

impl Parts {
    /// Somebody wants these bytes of the file, for which they would read so many by themselves.
    pub(super) fn want(&mut self, place: &Place, range: &Range<u64>, alone: u64) {
        let nothing = || Part { hull: range.clone(), takers: 0, alone: 0, content: Content::Absent };
        let part = self.by_place.entry(place.clone()).or_insert_with(nothing);
        part.hull = part.hull.start.min(range.start)..part.hull.end.max(range.end);
        part.takers += 1;
        part.alone += alone;
    }

    /// Somebody wants them no longer. Returns what nobody wants now, which had better be dropped without holding a lock, and whether others
    /// may have waited for that.
    pub(super) fn withdraw(&mut self, place: &Place, alone: u64) -> (Option<Arc<Lent>>, bool) {
        let Some(part) = self.by_place.get_mut(place) else { return (None, false) };
        let was_worth = part.is_worth_it();
        part.takers -= 1;
        part.alone -= alone;
        if part.takers > 0 {
            return (None, was_worth && !part.is_worth_it());
        }
        match self.by_place.remove(place).map(|part| part.content) {
            Some(Content::Here(lent)) => (Some(lent), false),
            _ => (None, false),
        }
    }

    /// What somebody who wants these bytes had better do.
    pub(super) fn next(&mut self, place: &Place, range: &Range<u64>) -> Next {
        let Some(part) = self.by_place.get_mut(place) else { return Next::GoAlone };
        match &part.content {
            Content::Here(lent) if lent.holds(range) => Next::Take(Arc::clone(lent)),
            Content::Here(_) => Next::GoAlone,
            Content::OnItsWay => Next::Wait,
            Content::Absent if !part.is_worth_it() => Next::GoAlone,
            Content::Absent => {
                let new =
                    || (self.buffers < Commons::MEMORY / Commons::PART).then(|| (self.buffers += 1, Vec::new()).1);
                let Some(memory) = self.free.pop().or_else(new) else { return Next::Wait };
                part.content = Content::OnItsWay;
                Next::Read(part.hull.clone(), memory)
            }
        }
    }

    /// The bytes of a part are there; without them, nobody reads them any more.
    pub(super) fn settle(&mut self, place: &Place, lent: Option<Arc<Lent>>) {
        if let Some(part) = self.by_place.get_mut(place) {
            part.content = lent.map_or(Content::Absent, Content::Here);
        }
    }

    /// Memory can be used again.
    pub(super) fn give_back(&mut self, memory: Vec<u8>) {
        self.free.push(memory);
    }
}

#[cfg(test)]
impl Parts {
    /// How many parts somebody wants.
    pub(super) fn wanted(&self) -> usize {
        self.by_place.len()
    }

    /// Whether nobody uses any memory.
    pub(super) fn unused(&self) -> bool {
        self.free.len() as u64 == self.buffers
    }
}

impl Part {
    /// Whether less is read in all if one reads for all.
    fn is_worth_it(&self) -> bool {
        self.alone > self.hull.end - self.hull.start
    }
}
