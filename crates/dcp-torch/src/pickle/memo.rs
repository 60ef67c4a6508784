//! The memo: what a pickle may fetch again.

use super::scan::fetched_slots;
use super::slots::Slots;
use super::{Fault, Node, PickleError, Vocabulary};

/// The memo. Most of what a pickler memoises is never fetched; only what is, is kept.
pub(super) struct Memo<'a, V: Vocabulary<'a>> {
    fetched: Slots,
    /// The fetched slots, without gaps.
    nodes: Vec<Option<Node<'a, V>>>,
    /// How many slots MEMOIZE has numbered.
    numbered: u64,
}

impl<'a, V: Vocabulary<'a>> Memo<'a, V> {
    /// Runs ahead through the operations to see which slots are fetched.
    pub(super) fn foresee(bytes: &[u8]) -> Result<Self, PickleError> {
        let mut fetched = fetched_slots(bytes)?;
        let count = fetched.count_ones();
        Ok(Self { fetched, nodes: (0..count).map(|_| None).collect(), numbered: 0 })
    }

    #[inline]
    pub(super) fn put(&mut self, slot: u64, node: &Node<'a, V>) {
        if let Some(kept) = self.fetched.rank(slot).and_then(|rank| self.nodes.get_mut(rank)) {
            *kept = Some(node.clone());
        }
    }

    #[inline]
    pub(super) fn memoize(&mut self, node: &Node<'a, V>) {
        self.put(self.numbered, node);
        self.numbered += 1;
    }

    /// As [`memoize`](Self::memoize) for what is not at hand.
    #[inline]
    pub(super) fn memoize_with(&mut self, node: impl FnOnce() -> Node<'a, V>) {
        if self.fetched.contains(self.numbered) {
            self.put(self.numbered, &node());
        }
        self.numbered += 1;
    }

    /// How many slots MEMOIZE has numbered.
    #[inline]
    pub(super) fn numbered(&self) -> u64 {
        self.numbered
    }

    /// Numbers slots from here again: what has been put into them will be put there once more.
    pub(super) fn go_back(&mut self, numbered: u64) {
        self.numbered = numbered;
    }

    /// Numbers one more slot, of something that is never fetched. `None` if it is.
    #[inline]
    pub(super) fn pass(&mut self) -> Option<()> {
        if self.fetched.contains(self.numbered) {
            return None;
        }
        self.numbered += 1;
        Some(())
    }

    #[inline]
    pub(super) fn peek(&self, slot: u64) -> Option<&Node<'a, V>> {
        self.fetched.rank(slot).and_then(|rank| self.nodes.get(rank)?.as_ref())
    }

    #[inline]
    pub(super) fn get(&self, slot: u64) -> Result<&Node<'a, V>, Box<Fault>> {
        self.peek(slot).ok_or_else(|| Fault::malformed(format_args!("empty memo slot {slot}"), "one that was filled"))
    }
}
