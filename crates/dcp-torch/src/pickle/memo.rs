//! The memo: what a pickle may fetch again.

use super::op::{Op, Ops};
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
    ///
    /// A pickler numbers slots from 0, and filling one takes a byte: larger numbers than there are bytes are refused.
    pub(super) fn foresee(bytes: &'a [u8]) -> Result<Self, PickleError> {
        let mut fetched = Slots::default();
        let mut ops = Ops::new(bytes);
        let limit = bytes.len() as u64;
        let (mut puts, mut memoizes) = (false, false);
        loop {
            // Numbered slots are not to be mixed with others: the rare pickles that have them are looked at one by one.
            while !puts && let Some(skipped) = ops.skip(limit) {
                memoizes |= skipped.memoizes;
                if let Some(slot) = skipped.get {
                    fetched.insert(slot);
                }
            }
            let position = ops.position();
            match ops.next()? {
                Op::Stop => break,
                Op::Put(slot) | Op::Get(slot) if slot >= limit => {
                    return Err(Fault::limit("the number of a memo slot", limit).at(position));
                }
                Op::Get(slot) => fetched.insert(slot),
                Op::Put(_) => puts = true,
                Op::Memoize => memoizes = true,
                _ => {}
            }
            if puts && memoizes {
                return Err(Fault::unsupported("a mix of numbered and unnumbered memo slots").at(position));
            }
        }
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

/// A set of slots, in the order of their numbers.
#[derive(Default)]
struct Slots {
    /// 64 slots each, and how many are in the set before them.
    words: Vec<(u64, u32)>,
}

impl Slots {
    #[inline]
    fn insert(&mut self, slot: u64) {
        let word = (slot / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, (0, 0));
        }
        self.words[word].0 |= 1 << (slot % 64);
    }

    /// To be called once, when all slots are in.
    fn count_ones(&mut self) -> u32 {
        self.words.iter_mut().fold(0, |before, (bits, rank)| {
            *rank = before;
            before + bits.count_ones()
        })
    }

    #[inline]
    fn contains(&self, slot: u64) -> bool {
        self.words.get((slot / 64) as usize).is_some_and(|(bits, _)| bits & 1 << (slot % 64) != 0)
    }

    /// How many slots of the set come before this one, which is in it.
    #[inline]
    fn rank(&self, slot: u64) -> Option<usize> {
        let (bits, before) = self.words.get((slot / 64) as usize)?;
        let bit = 1 << (slot % 64);
        (bits & bit != 0).then(|| *before as usize + (bits & (bit - 1)).count_ones() as usize)
    }
}
