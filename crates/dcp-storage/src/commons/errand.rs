//! Who reads a part for all, and what comes of it.

use std::ops::Range;
use std::sync::Arc;

use super::{Member, Want};

/// The duty to read a part for all who want it. Others wait until it is [done](Self::done), or dropped: then another reads it.
#[derive(Debug)]
pub(crate) struct Errand {
    want: Want,
    range: Range<u64>,
    /// `None` once it is done.
    memory: Option<Vec<u8>>,
}

/// The bytes of a part, for all who want some of them.
#[derive(Debug)]
pub(crate) struct Lent {
    /// Who has read them.
    member: Arc<Member>,
    range: Range<u64>,
    memory: Vec<u8>,
    unverified: u64,
}

impl Errand {
    pub(super) fn new(want: Want, range: Range<u64>, memory: Vec<u8>) -> Self {
        Self { want, range, memory: Some(memory) }
    }

    /// Which bytes of the file to read, and the memory for them.
    pub(crate) fn room(&mut self) -> (u64, &mut [u8]) {
        let length = (self.range.end - self.range.start) as usize;
        let memory = self.memory.as_deref_mut().unwrap_or_default();
        (self.range.start, &mut memory[..length])
    }

    /// All bytes are there. At most so many of them were not verified.
    pub(crate) fn done(mut self, unverified: u64) -> Arc<Lent> {
        let (member, range) = (Arc::clone(self.want.member()), self.range.clone());
        let memory = self.memory.take().unwrap_or_default();
        let lent = Arc::new(Lent { member, range, memory, unverified });
        self.settle(Some(Arc::clone(&lent)));
        lent
    }

    fn settle(&self, lent: Option<Arc<Lent>>) {
        self.want.commons().change(|parts| parts.settle(self.want.place(), lent));
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.settle(None);
            self.want.member().give_back(memory);
        }
    }
}

impl Lent {
    /// Bytes from one place in the file to another, which it holds.
    pub(crate) fn bytes(&self, range: Range<u64>) -> &[u8] {
        &self.memory[(range.start - self.range.start) as usize..(range.end - self.range.start) as usize]
    }

    /// How many of its bytes were not verified, at most.
    pub(crate) fn unverified(&self) -> u64 {
        self.unverified
    }

    pub(super) fn holds(&self, range: &Range<u64>) -> bool {
        self.range.start <= range.start && range.end <= self.range.end
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.member.give_back(std::mem::take(&mut self.memory));
    }
}
