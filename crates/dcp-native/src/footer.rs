//! The footer of a data file: the checksum of every block of every item, in order, as little-endian 32-bit numbers.
//!
//! With transforms the lengths of the items come before that, in order, as little-endian 64-bit numbers.

use std::sync::Arc;

use bytes::Bytes;

/// How many checksums items of these lengths have.
pub(crate) fn entries(lengths: impl Iterator<Item = u64>, block: u64) -> Option<u64> {
    lengths.map(|length| length.div_ceil(block)).try_fold(0u64, u64::checked_add)
}

/// The footer with these checksums.
pub(crate) fn encode<'a>(checksums: impl Iterator<Item = &'a u32>) -> Bytes {
    checksums.flat_map(|checksum| checksum.to_le_bytes()).collect::<Vec<u8>>().into()
}

/// The checksums in a footer.
fn decode(footer: &[u8]) -> Vec<u32> {
    footer.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

/// The footer with these lengths and checksums.
pub(crate) fn encode_with_lengths<'a>(
    lengths: impl Iterator<Item = u64>,
    checksums: impl Iterator<Item = &'a u32>,
) -> Bytes {
    let lengths = lengths.flat_map(u64::to_le_bytes);
    lengths.chain(checksums.flat_map(|checksum| checksum.to_le_bytes())).collect::<Vec<u8>>().into()
}

/// What a footer says.
#[derive(Debug)]
pub(crate) struct Table {
    /// Where the items lie, if the footer says so.
    pub(crate) items: Vec<Stored>,
    pub(crate) checks: Arc<[u32]>,
}

/// Where an item lies, as a footer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Its checksums in the table.
    pub(crate) checks: std::ops::Range<usize>,
}

impl Table {
    /// The table in a footer that starts at byte `start` of its file, behind so many items whose lengths it says; says what is wrong with it.
    pub(crate) fn decode(footer: &[u8], items: usize, start: u64, block: u64) -> Result<Self, &'static str> {
        let split = items.checked_mul(8).and_then(|length| footer.split_at_checked(length));
        let (lengths, checks) = split.ok_or("it lacks the lengths of items")?;
        let checks: Arc<[u32]> = decode(checks).into();
        let (mut offset, mut first) = (0u64, 0usize);
        let mut stored = Vec::with_capacity(items);
        for length in lengths.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)) {
            let next = offset.checked_add(length).filter(|end| *end <= start).ok_or("an item reaches into it")?;
            let blocks = usize::try_from(length.div_ceil(block)).ok().and_then(|blocks| first.checked_add(blocks));
            let last = blocks.filter(|last| *last <= checks.len()).ok_or("it lacks checksums")?;
            stored.push(Stored { offset, length, checks: first..last });
            (offset, first) = (next, last);
        }
        if items > 0 && (offset, first) != (start, checks.len()) {
            return Err("its items end somewhere else");
        }
        Ok(Self { items: stored, checks })
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.items) + size_of_val(&*self.checks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_says_where_items_lie() {
        let footer = encode_with_lengths([5, 8].into_iter(), [1, 2, 3, 4].iter());
        let table = Table::decode(&footer, 2, 13, 4).expect("a footer");
        let stored = |offset, length, checks| Stored { offset, length, checks };
        assert_eq!(table.items, [stored(0, 5, 0..2), stored(5, 8, 2..4)]);
        assert_eq!(*table.checks, [1, 2, 3, 4]);
        // Without lengths it is as without transforms.
        let table = Table::decode(&encode([7, 8].iter()), 0, 99, 4).expect("a footer");
        assert_eq!((table.items, &*table.checks), (vec![], &[7, 8][..]));
    }

    #[test]
    fn a_footer_that_lies_is_refused() {
        let refused = |lengths: &[u64], checks: &[u32], start| {
            let footer = encode_with_lengths(lengths.iter().copied(), checks.iter());
            Table::decode(&footer, 2, start, 4).expect_err("lies")
        };
        assert_eq!(refused(&[5], &[], 13), "it lacks the lengths of items");
        assert_eq!(refused(&[5, 9], &[1, 2, 3, 4], 13), "an item reaches into it");
        assert_eq!(refused(&[5, u64::MAX], &[1, 2, 3, 4], 13), "an item reaches into it");
        assert_eq!(refused(&[5, 8], &[1, 2, 3], 13), "it lacks checksums");
        assert_eq!(refused(&[5, 7], &[1, 2, 3, 4], 13), "its items end somewhere else");
        assert_eq!(refused(&[5, 8], &[1, 2, 3, 4, 5], 13), "its items end somewhere else");
    }
}
