//! Sets of memo slots.

/// A set of slots, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// 64 slots each, and how many are in the set before them.
    words: Vec<(u64, u32)>,
}

impl Slots {
    #[inline]
    pub(super) fn insert(&mut self, slot: u64) {
        let word = (slot / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, (0, 0));
        }
        self.words[word].0 |= 1 << (slot % 64);
    }

    /// Takes in what another set has, before anything is counted.
    pub(super) fn join(&mut self, other: &Self) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), (0, 0));
        }
        self.words.iter_mut().zip(&other.words).for_each(|((bits, _), (more, _))| *bits |= more);
    }

    /// To be called once, when all slots are in.
    pub(super) fn count_ones(&mut self) -> u32 {
        self.words.iter_mut().fold(0, |before, (bits, rank)| {
            *rank = before;
            before + bits.count_ones()
        })
    }

    #[inline]
    pub(super) fn contains(&self, slot: u64) -> bool {
        self.words.get((slot / 64) as usize).is_some_and(|(bits, _)| bits & 1 << (slot % 64) != 0)
    }

    /// How many slots of the set come before this one, which is in it.
    #[inline]
    pub(super) fn rank(&self, slot: u64) -> Option<usize> {
        let (bits, before) = self.words.get((slot / 64) as usize)?;
        let bit = 1 << (slot % 64);
        (bits & bit != 0).then(|| *before as usize + (bits & (bit - 1)).count_ones() as usize)
    }
}
