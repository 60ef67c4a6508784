//! Sets of entries of a checkpoint.

use serde::{Deserialize, Serialize};

/// A set of entries, by number: one bit each, so that every rank can tell the coordinator which ones it names.
///
/// ```
/// use dcp_planner::EntrySet;
/// let mut named: EntrySet = [0, 7].into_iter().collect();
/// named.extend(&[3, 200].into_iter().collect());
/// assert!(named.contains(200) && !named.contains(1));
/// assert_eq!(named.iter().collect::<Vec<_>>(), [0, 3, 7, 200]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntrySet(Vec<u64>);

const BITS: usize = u64::BITS as usize;

impl EntrySet {
    /// Adds an entry.
    pub fn insert(&mut self, entry: usize) {
        let word = entry / BITS;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (entry % BITS);
    }

    /// Whether an entry is in the set.
    #[must_use]
    pub fn contains(&self, entry: usize) -> bool {
        self.0.get(entry / BITS).is_some_and(|word| word & (1 << (entry % BITS)) != 0)
    }

    /// Adds the entries of another set.
    pub fn extend(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    /// The entries, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len() * BITS).filter(|&entry| self.contains(entry))
    }
}

impl FromIterator<usize> for EntrySet {
    fn from_iter<I: IntoIterator<Item = usize>>(entries: I) -> Self {
        let mut set = Self::default();
        entries.into_iter().for_each(|entry| set.insert(entry));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_entries_travel_in_a_few_bytes() {
        let set: EntrySet = (0..1000).collect();
        let wire = rmp_serde::to_vec(&set).expect("encodes");
        assert!(wire.len() < 160, "{} bytes", wire.len());
        assert_eq!(rmp_serde::from_slice::<EntrySet>(&wire).expect("decodes"), set);
    }

    #[test]
    fn sets_of_different_lengths_join_both_ways() {
        let (small, large): (EntrySet, EntrySet) = ([1, 2].into_iter().collect(), [2, 300].into_iter().collect());
        let (mut left, mut right) = (small.clone(), large.clone());
        left.extend(&large);
        right.extend(&small);
        assert_eq!(left, right);
        assert!(!small.contains(usize::MAX));
    }
}
