//! Shapes and offsets.

use std::num::NonZeroU32;

/// A shape or an offset in the list of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extents {
    /// One more than where it starts, so that none at all takes no more room.
    start: NonZeroU32,
    count: u8,
}

const NOTHING: Extents = Extents { start: NonZeroU32::MIN, count: 0 };

/// All shapes and offsets. What comes again is mostly listed once: a large index is little else than tensors of few shapes, cut alike.
#[derive(Debug)]
pub(super) struct ExtentList {
    listed: Vec<u64>,
    /// What was listed or looked for last, by a hash of it.
    recent: Box<[Extents; 1 << RECENT_BITS]>,
}

/// Offsets come again one tensor later: there is room for those of some thousand chunks.
const RECENT_BITS: u32 = 12;

impl ExtentList {
    pub(super) fn get(&self, Extents { start, count }: Extents) -> &[u64] {
        let start = start.get() as usize - 1;
        self.listed.get(start..start + usize::from(count)).unwrap_or_default()
    }

    /// Lists a shape or offset. `None` if there are too many.
    #[inline]
    pub(super) fn keep(&mut self, extents: impl ExactSizeIterator<Item = u64> + Clone) -> Option<Extents> {
        let slot = slot_of(extents.clone());
        let recent = self.recent[slot];
        if self.get(recent).iter().copied().eq(extents.clone()) {
            return Some(recent);
        }
        let start = u32::try_from(self.listed.len() + 1).ok().and_then(NonZeroU32::new)?;
        let kept = Extents { start, count: u8::try_from(extents.len()).ok()? };
        self.listed.extend(extents);
        self.recent[slot] = kept;
        Some(kept)
    }
}

/// A good spread is all that matters: what shares a slot is merely listed again.
#[inline]
fn slot_of(extents: impl Iterator<Item = u64>) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = extents.fold(0u64, |hash, extent| (hash.rotate_left(5) ^ extent).wrapping_mul(ODD));
    (hash >> (u64::BITS - RECENT_BITS)) as usize
}

impl Default for ExtentList {
    fn default() -> Self {
        Self { listed: Vec::new(), recent: Box::new([NOTHING; _]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_listed_once() {
        let mut list = ExtentList::default();
        // More than there is room for: what shares a place must not be taken for the other.
        for round in 0..3u64 {
            for row in 0..5000 {
                let extents = [64 * row, 0, row % 3][..(row % 4) as usize].to_vec();
                let kept = list.keep(extents.iter().copied()).expect("room");
                assert_eq!(list.get(kept), extents, "{round}");
                assert_eq!(list.keep(extents.into_iter()), Some(kept));
            }
        }
        let mut few = ExtentList::default();
        let kept: Vec<_> = (0..1000).map(|row| few.keep([row % 10, 7].into_iter())).collect();
        assert!(kept.iter().zip(&kept[10..]).all(|(first, again)| first == again));
    }
}
