//! Into which parts an object is cut whose size nobody may know.

use crate::Traffic;

/// The sizes of the parts of one upload.
///
/// Up to [`EVEN`](Self::EVEN) they are equal, as some stores want them (R2), and large enough for the size that is expected. Where more is
/// written than that they grow, so that [`MOST`](Self::MOST) are enough for the largest object there can be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartSizes {
    first: u64,
}

impl PartSizes {
    /// How many parts an object may have.
    #[cfg(test)]
    pub(crate) const MOST: u64 = 10_000;
    /// How many of them are equal.
    pub(crate) const EVEN: u64 = 5_000;
    /// After how many more they double.
    const STEP: u64 = 450;

    pub(crate) fn new(part_size: u64, expected: Option<u64>) -> Self {
        let needed = expected.unwrap_or(0).div_ceil(Self::EVEN);
        Self { first: needed.next_multiple_of(1 << 20).clamp(part_size, Traffic::LARGEST_PART) }
    }

    /// The size of a part, in bytes, counted from 0.
    pub(crate) fn size(&self, index: u64) -> u64 {
        let doublings = if index < Self::EVEN { 0 } else { (index - Self::EVEN) / Self::STEP + 1 };
        let factor = 1_u64.checked_shl(doublings.try_into().unwrap_or(u32::MAX)).unwrap_or(u64::MAX);
        self.first.saturating_mul(factor).min(Traffic::LARGEST_PART)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LARGEST_OBJECT: u64 = 5 << 40;

    proptest! {
        #[test]
        fn as_many_parts_as_there_may_be_hold_any_object(
            part_size in Traffic::SMALLEST_PART..=Traffic::LARGEST_PART,
            expected in proptest::option::of(0..=2 * LARGEST_OBJECT),
        ) {
            let sizes = PartSizes::new(part_size, expected);
            let all: u64 = (0..PartSizes::MOST).map(|index| sizes.size(index)).sum();
            prop_assert!(all >= LARGEST_OBJECT, "{all}");
            for index in 0..PartSizes::MOST {
                prop_assert!((part_size..=Traffic::LARGEST_PART).contains(&sizes.size(index)));
            }
        }

        #[test]
        fn parts_of_an_expected_size_are_equal(
            part_size in Traffic::SMALLEST_PART..=64 << 20,
            expected in 0..=LARGEST_OBJECT,
        ) {
            let sizes = PartSizes::new(part_size, Some(expected));
            let even: u64 = (0..PartSizes::EVEN).map(|index| sizes.size(index)).sum();
            prop_assert!(even >= expected);
            prop_assert_eq!(sizes.size(0), sizes.size(PartSizes::EVEN - 1));
            // No larger than it takes.
            prop_assert!(sizes.size(0) <= part_size.max(expected / PartSizes::EVEN + (1 << 20)));
        }
    }
}
