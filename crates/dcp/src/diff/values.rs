//! Compares values.

use dcp_storage::Locator;
use dcp_types::{ReadItem, StatePath};

use super::alike::first_difference;
use super::pairs::ValuePair;
use super::report::Side;
use super::rule::Rule;
use super::sides::Sides;
use crate::Error;
use crate::checkpoint::each;

/// How many values are located at a time.
const BATCH: usize = 1 << 10;
/// How many bytes of them are read at a time, of both sides, but for a single pair that is larger.
const BYTES: u64 = 4 << 20;

/// Is told of a pair of values that is not the same: the first place in them that differs, or on which side and why one cannot be read.
pub(super) type Tell<'a> = &'a mut dyn FnMut(&ValuePair<'_>, Result<StatePath, (Side, Error)>);

/// Compares pairs of values, and tells of those that are not the same.
pub(super) fn compare(sides: &Sides<'_>, pairs: &[ValuePair<'_>], rule: Rule, tell: Tell<'_>) {
    for pairs in pairs.chunks(BATCH) {
        let sizes = sizes(sides, pairs);
        let mut rest = pairs.iter().zip(sizes).collect::<Vec<_>>();
        while !rest.is_empty() {
            let mut bytes = 0u64;
            let fits = |(_, size): &&(&ValuePair<'_>, u64)| {
                bytes = bytes.saturating_add(*size);
                bytes <= BYTES
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let now: Vec<&ValuePair<'_>> = rest.drain(..count).map(|(pair, _)| pair).collect();
            let [left, right] = Side::BOTH.map(|side| {
                let entries: Vec<usize> = now.iter().map(|pair| pair.entries[side as usize]).collect();
                each(&entries, &mut |entries| sides.values(side, entries))
            });
            for (pair, values) in now.into_iter().zip(left.into_iter().zip(right)) {
                match values {
                    (Ok(left), Ok(right)) => {
                        if let Some(place) = first_difference(&left, &right, rule) {
                            tell(pair, Ok(place));
                        }
                    }
                    (Err(error), _) => tell(pair, Err((Side::Left, error))),
                    (_, Err(error)) => tell(pair, Err((Side::Right, error))),
                }
            }
        }
    }
}

/// How many bytes each pair has; where that is not known, so many that it is read by itself.
fn sizes(sides: &Sides<'_>, pairs: &[ValuePair<'_>]) -> Vec<u64> {
    let [left, right] = Side::BOTH.map(|side| {
        let items: Vec<ReadItem> = pairs.iter().map(|pair| ReadItem::value(pair.entries[side as usize])).collect();
        each(&items, &mut |items| sides.locate(side, items.to_vec()))
    });
    let size = |at: Result<Locator, Error>| match at {
        Ok(Locator::Extent(extent)) => extent.length,
        Ok(Locator::Inline(bytes)) => bytes.len() as u64,
        _ => u64::MAX,
    };
    left.into_iter().zip(right).map(|(left, right)| size(left).saturating_add(size(right))).collect()
}
