//! Bytes of files that several items claim.

use std::collections::BTreeMap;

use dcp_storage::{Locator, StorePath};
use dcp_types::Fqn;

use super::Defect;

/// So many places are remembered: about 32 MiB. Of a checkpoint with more of them, those that come first.
const REMEMBERED: usize = 1 << 20;
/// So many overlaps are told of one file.
const TOLD: usize = 100;

/// The places that chunks claim. Two may have one and the same place, as tied weights do, but not parts of one another's.
#[derive(Debug, Default)]
pub(super) struct Overlaps {
    by_file: BTreeMap<StorePath, Vec<Place>>,
    places: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    start: u64,
    end: u64,
    entry: usize,
}

impl Overlaps {
    /// Adds the file of a value. Its place may meet others': an object that was taken out of a file reaches from the first of its tensors to the last.
    pub(super) fn add_value(&mut self, locator: &Locator) {
        if let Some((file, ..)) = place(locator)
            && !self.by_file.contains_key(file)
        {
            self.by_file.insert(file.clone(), Vec::new());
        }
    }

    /// Adds the place of a chunk.
    pub(super) fn add_chunk(&mut self, entry: usize, locator: &Locator) {
        let Some((file, start, length)) = place(locator) else { return };
        if !self.by_file.contains_key(file) {
            self.by_file.insert(file.clone(), Vec::new());
        }
        if self.places < REMEMBERED
            && length > 0
            && let Some(places) = self.by_file.get_mut(file)
        {
            self.places += 1;
            places.push(Place { start, end: start.saturating_add(length), entry });
        }
    }

    /// How many files there are.
    pub(super) fn files(&self) -> u64 {
        self.by_file.len() as u64
    }

    /// What overlaps.
    pub(super) fn defects(&mut self, name: &dyn Fn(usize) -> Option<Fqn>) -> Vec<Defect> {
        let mut defects = Vec::new();
        for (file, places) in &mut self.by_file {
            places.sort_unstable();
            for (reaching, place) in overlapping(places).take(TOLD) {
                let other = name(reaching.entry).unwrap_or_else(|| "?".into());
                let message = format!(
                    "bytes {}..{} of {file} are claimed by {other} (bytes {}..{}) as well",
                    place.start, place.end, reaching.start, reaching.end
                );
                defects.push(Defect {
                    fqn: name(place.entry),
                    region: None,
                    file: Some(file.to_string()),
                    offset: Some(place.start),
                    kind: "overlap",
                    message,
                    is_fault: true,
                });
            }
        }
        defects
    }
}

/// The file of an item, and its first byte and length there.
fn place(locator: &Locator) -> Option<(&StorePath, u64, u64)> {
    match locator {
        Locator::Extent(extent) => Some((&extent.file, extent.offset, extent.length)),
        Locator::Stream(stream) => Some((&stream.file, stream.offset, stream.length)),
        _ => None,
    }
}

/// Every place, in ascending order, that starts before one before it ends, with that one.
fn overlapping(places: &[Place]) -> impl Iterator<Item = (Place, Place)> {
    let mut furthest: Option<Place> = None;
    places.iter().filter_map(move |&place| {
        let before = furthest;
        if before.is_none_or(|before| place.end > before.end) {
            furthest = Some(place);
        }
        before
            .filter(|before| place.start < before.end && (before.start, before.end) != (place.start, place.end))
            .map(|before| (before, place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_another_overlap_and_equal_places_do_not() {
        let places = |spans: &[(u64, u64)]| -> Vec<Place> {
            let mut places: Vec<_> =
                spans.iter().enumerate().map(|(entry, &(start, end))| Place { start, end, entry }).collect();
            places.sort_unstable();
            places
        };
        let found = |spans: &[(u64, u64)]| -> Vec<(usize, usize)> {
            overlapping(&places(spans)).map(|(one, other)| (one.entry, other.entry)).collect()
        };
        assert_eq!(found(&[(0, 4), (4, 8), (8, 9)]), []);
        assert_eq!(found(&[(0, 4), (0, 4), (4, 8)]), []);
        assert_eq!(found(&[(4, 8), (0, 5)]), [(1, 0)]);
        assert_eq!(found(&[(0, 9), (1, 2), (3, 4), (9, 10)]), [(0, 1), (0, 2)]);
        assert_eq!(found(&[(0, 4), (0, 8)]), [(0, 1)]);
    }
}
