//! The parts that are wanted, and the memory for them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dcp_types::Digest;

use super::{Commons, Lent, Member};
use crate::{BlockChecks, Checksum, StorePath};

/// Which part of which payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) payload: u64,
    pub(crate) number: u64,
}

/// Bytes of a file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Payload {
    pub(super) location: String,
    pub(super) checkpoint: Digest,
    pub(super) file: StorePath,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// All parts that somebody wants.
#[derive(Debug, Default)]
pub(super) struct Parts {
    by_place: HashMap<Place, Part>,
    /// The payloads of which they are, numbered, with the checksums that are compared.
    payloads: HashMap<Payload, Vec<(Option<BlockChecks>, u64)>>,
    numbered: u64,
    /// Memory that nobody uses.
    free: Vec<Vec<u8>>,
    /// How many buffers there are, used or not.
    buffers: usize,
    /// How many ranks have tasks.
    pub(super) members: usize,
    /// How many tasks are under way, or will be at once, that do not wait for memory.
    pub(super) at_work: usize,
    /// How often somebody has gone alone because there was no memory, and nobody to give any back.
    given_up: u64,
}

/// A part that somebody wants.
#[derive(Debug)]
struct Part {
    /// From the first byte of the file that somebody has said to want to the last.
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
    /// Until something changes.
    Wait,
    /// The same; until then this one counts as not at work. So often has somebody given up.
    WaitForMemory(u64),
    GoAlone,
}

impl Parts {
    /// The number of a payload whose bytes are compared with these checksums.
    pub(super) fn payload(&mut self, payload: Payload, checks: Option<&BlockChecks>) -> u64 {
        let known = self.payloads.entry(payload).or_default();
        let same = known.iter().find(|(other, _)| match (other, checks) {
            (None, None) => true,
            (Some(other), Some(checks)) => compared(other) == compared(checks),
            _ => false,
        });
        if let Some(&(_, number)) = same {
            return number;
        }
        known.push((checks.cloned(), self.numbered));
        self.numbered += 1;
        self.numbered - 1
    }

    /// Somebody wants these bytes of the file, for which they would read so many by themselves.
    pub(super) fn want(&mut self, place: Place, range: &Range<u64>, alone: u64) {
        let nothing = || Part { hull: range.clone(), takers: 0, alone: 0, content: Content::Absent };
        let part = self.by_place.entry(place).or_insert_with(nothing);
        part.hull = part.hull.start.min(range.start)..part.hull.end.max(range.end);
        part.takers += 1;
        part.alone += alone;
    }

    /// Somebody wants them no longer. Returns what nobody wants now, which had better be dropped without holding a lock, and whether others
    /// may have waited for that.
    pub(super) fn withdraw(&mut self, place: Place, alone: u64) -> (Option<Arc<Lent>>, bool) {
        let Some(part) = self.by_place.get_mut(&place) else { return (None, false) };
        let was_worth = part.is_worth_it();
        part.takers -= 1;
        part.alone -= alone;
        if part.takers > 0 {
            return (None, was_worth && !part.is_worth_it());
        }
        match self.by_place.remove(&place).map(|part| part.content) {
            Some(Content::Here(lent)) => (Some(lent), false),
            _ => (None, false),
        }
    }

    /// What a member that wants these bytes had better do. If it has waited for memory: how often somebody had given up then.
    pub(super) fn next(&mut self, member: &Member, place: Place, range: &Range<u64>, waited: Option<u64>) -> Next {
        let Some(part) = self.by_place.get(&place) else { return Next::GoAlone };
        match &part.content {
            Content::Here(lent) if lent.holds(range) => Next::Take(Arc::clone(lent)),
            Content::Here(_) => Next::GoAlone,
            Content::OnItsWay => Next::Wait,
            Content::Absent if !part.is_worth_it() => Next::GoAlone,
            Content::Absent => {
                let hull = part.hull.clone();
                match self.memory(member) {
                    Some(memory) => {
                        self.set(place, Content::OnItsWay);
                        Next::Read(hull, memory)
                    }
                    None => self.without_memory(waited),
                }
            }
        }
    }

    fn without_memory(&mut self, waited: Option<u64>) -> Next {
        if waited.is_some_and(|then| then != self.given_up) {
            // It was in vain.
            return Next::GoAlone;
        }
        if self.at_work > 1 {
            // Who goes on gives some back, unless it needs some itself.
            self.at_work -= 1;
            return Next::WaitForMemory(self.given_up);
        }
        self.given_up += 1;
        Next::GoAlone
    }

    /// Memory for a part that a member reads, if there is some. Each has a share: who is far ahead of the others leaves them theirs.
    fn memory(&mut self, member: &Member) -> Option<Vec<u8>> {
        let most = (Commons::MEMORY / Commons::PART) as usize;
        if member.reads.load(Ordering::Relaxed) >= (most / self.members.max(1)).max(1) {
            return None;
        }
        let memory = match self.free.pop() {
            Some(memory) => memory,
            None if self.buffers < most => {
                self.buffers += 1;
                vec![0; Commons::PART as usize]
            }
            None => return None,
        };
        member.reads.fetch_add(1, Ordering::Relaxed);
        Some(memory)
    }

    /// The bytes of a part are there; without them, nobody reads them any more.
    pub(super) fn settle(&mut self, place: Place, lent: Option<Arc<Lent>>) {
        self.set(place, lent.map_or(Content::Absent, Content::Here));
    }

    fn set(&mut self, place: Place, content: Content) {
        if let Some(part) = self.by_place.get_mut(&place) {
            part.content = content;
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
        self.free.len() == self.buffers
    }
}

/// All that is known of the checksums of a payload.
fn compared(checks: &BlockChecks) -> (Checksum, u64, Option<&[u32]>) {
    (checks.kind, checks.block, checks.table.get(checks.entries.clone()))
}

impl Part {
    /// Whether less is read in all if one reads for all.
    fn is_worth_it(&self) -> bool {
        self.alone > self.hull.end - self.hull.start
    }
}
