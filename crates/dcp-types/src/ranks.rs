//! Sets of ranks.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::TypesError;

/// A participant of a save or load, by its global number.
pub type Rank = u32;

/// A set of ranks, kept as sorted ranges: small for the sets that occur, whatever their size.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<(Rank, Rank)>", into = "Vec<(Rank, Rank)>")]
pub struct RankSet(Vec<RangeInclusive<Rank>>);

impl RankSet {
    /// The smallest rank.
    #[must_use]
    pub fn first(&self) -> Option<Rank> {
        self.0.first().map(|range| *range.start())
    }

    /// How many ranks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|range| (range.end() - range.start()) as usize + 1).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `rank` is one of them.
    #[must_use]
    pub fn contains(&self, rank: Rank) -> bool {
        let at = self.0.partition_point(|range| *range.end() < rank);
        self.0.get(at).is_some_and(|range| range.contains(&rank))
    }

    /// The ranks in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Rank> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// Adds the ranks of another set.
    pub fn extend(&mut self, other: &Self) {
        if self == other {
            return;
        }
        let mut ranges: Vec<_> = self.0.iter().chain(&other.0).cloned().collect();
        ranges.sort_by_key(|range| *range.start());
        self.0.clear();
        for range in ranges {
            self.append(range);
        }
    }

    /// Adds a range that starts no earlier than the last one.
    fn append(&mut self, range: RangeInclusive<Rank>) {
        match self.0.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => self.0.push(range),
        }
    }
}

impl FromIterator<Rank> for RankSet {
    fn from_iter<T: IntoIterator<Item = Rank>>(ranks: T) -> Self {
        let mut ranks: Vec<_> = ranks.into_iter().collect();
        ranks.sort_unstable();
        let mut set = Self::default();
        for rank in ranks {
            set.append(rank..=rank);
        }
        set
    }
}

/// The wire form: first and last rank of each range, apart from each other and ascending.
impl TryFrom<Vec<(Rank, Rank)>> for RankSet {
    type Error = TypesError;
    fn try_from(ranges: Vec<(Rank, Rank)>) -> Result<Self, TypesError> {
        let ordered = ranges.iter().all(|(first, last)| first <= last);
        let apart = ranges.windows(2).all(|pair| pair[0].1.checked_add(1).is_some_and(|next| next < pair[1].0));
        if !ordered || !apart {
            let reason = "its ranges are not ascending and apart".into();
            return Err(TypesError::Decode { what: "a set of ranks", reason });
        }
        Ok(Self(ranges.into_iter().map(|(first, last)| first..=last).collect()))
    }
}

impl From<RankSet> for Vec<(Rank, Rank)> {
    fn from(set: RankSet) -> Self {
        set.0.into_iter().map(RangeInclusive::into_inner).collect()
    }
}

impl fmt::Debug for RankSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_together() {
        let mut set: RankSet = [5, 0, 1, 2, 1].into_iter().collect();
        set.extend(&(3..5).collect());
        assert_eq!(set, (0..6).collect());
        assert!(set.contains(5) && !set.contains(6));
        assert_eq!((set.len(), set.first()), (6, Some(0)));
    }
}
