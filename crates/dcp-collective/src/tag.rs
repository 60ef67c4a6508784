//! Tags keep the messages of different conversations apart.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::mix::mix;

/// Names one conversation between ranks: messages under different tags never meet.
///
/// Drawn from a [`TagSource`]; made from a number only by transports that carry it in a message, and by tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u64);

impl Tag {
    /// The tag with this number. All 64 bits count.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The tag's number, for the wire.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Where the handle of one rank draws tags. Ranks that draw in the same order get the same tags, without a message.
///
/// A transport owns one per handle and returns it from [`Collective::tags`](crate::Collective::tags); that is all it
/// has to do.
///
/// # How tags stay apart
///
/// A whole collective counts up from zero. A [`Subgroup`](crate::Subgroup) cannot take its tags from that count, since
/// only its members would draw and the others would fall behind. Its tags are hashes, marked by the top bit, of what
/// its members, and they alone, agree on: the tags' parent, the list of members, how many groups of exactly this list
/// were made before, and a count. So groups never meet their parent's tags, two groups of the same members differ, and
/// a clash between unlike groups needs a collision of 63-bit hashes between two conversations that are open at once.
///
/// ```
/// use dcp_collective::{Collective, ThreadGroup};
///
/// let ranks = ThreadGroup::new(2);
/// assert_eq!(ranks[0].next_tag(), ranks[1].next_tag());
/// assert_ne!(ranks[0].next_tag(), ranks[0].next_tag());
/// ```
#[derive(Debug, Default)]
pub struct TagSource {
    /// What the tags of a subgroup are hashed from; none for a whole collective.
    seed: Option<u64>,
    drawn: AtomicU64,
    /// How many groups of the same members were made.
    groups: Mutex<HashMap<Vec<usize>, u64>>,
}

impl TagSource {
    /// The source of a whole collective.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next tag: one that this source has not given before.
    pub fn draw(&self) -> Tag {
        let count = self.drawn.fetch_add(1, Ordering::Relaxed);
        match self.seed {
            None => Tag(count & !GROUP),
            Some(seed) => Tag(mix(seed, count) | GROUP),
        }
    }

    /// The source for a new subgroup of these members.
    pub(crate) fn for_group(&self, members: &[usize]) -> Self {
        let made_before = {
            let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
            let made = groups.entry(members.to_vec()).or_insert(0);
            *made += 1;
            *made - 1
        };
        let parent = self.seed.unwrap_or(0);
        let list = members.iter().fold(mix(parent, members.len() as u64), |state, member| mix(state, *member as u64));
        Self { seed: Some(mix(list, made_before)), ..Self::default() }
    }
}

/// The bit that sets the tags of subgroups apart from those of whole collectives.
const GROUP: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn members_agree_whatever_other_groups_some_of_them_made() {
        let (a, b) = (TagSource::new(), TagSource::new());
        a.for_group(&[0, 2]); // only `a` is in this one
        let (first_a, second_a) = (a.for_group(&[0, 1]), a.for_group(&[0, 1]));
        let (first_b, second_b) = (b.for_group(&[0, 1]), b.for_group(&[0, 1]));
        assert_eq!(first_a.draw(), first_b.draw());
        assert_eq!(second_a.draw(), second_b.draw());
    }

    #[test]
    fn no_tag_repeats_across_root_groups_and_nested_groups() {
        let root = TagSource::new();
        let groups = [root.for_group(&[0, 1]), root.for_group(&[0, 1]), root.for_group(&[1, 0]), root.for_group(&[0])];
        let nested = [groups[0].for_group(&[0, 1]), groups[1].for_group(&[0, 1])];
        let mut seen = HashSet::new();
        for source in std::iter::once(&root).chain(&groups).chain(&nested) {
            for _ in 0..1000 {
                assert!(seen.insert(source.draw()));
            }
        }
    }
}
