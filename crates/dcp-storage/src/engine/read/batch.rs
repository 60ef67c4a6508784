//! What is read at once.

/// The most ranges in one call to the store.
pub(super) const RANGES: usize = 1024;
/// The most series of wanted parts in one buffer.
const SERIES: usize = 4096;

/// Ranges that are read together, and the parts of them that are wanted. Both ascending.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) covers: Vec<(u64, u64)>,
    wanted: Vec<Series>,
    bytes: u64,
}

/// Parts of one length at equal distances: there may be as many as bytes in a buffer.
struct Series {
    first: u64,
    length: u64,
    distance: u64,
    count: u64,
}

impl Batch {
    /// Adds a part; says no if the batch is full.
    pub(super) fn add(&mut self, cover: (u64, u64), wanted: (u64, u64), gap: u64, capacity: u64) -> bool {
        let end = self.covers.last().map(|last| last.1).filter(|end| cover.0 <= end.saturating_add(gap));
        let more = end.map_or(cover.1 - cover.0, |end| cover.1.saturating_sub(end));
        let is_full = self.bytes + more > capacity || self.covers.len() == RANGES || self.wanted.len() == SERIES;
        if !self.wanted.is_empty() && is_full {
            return false;
        }
        match self.covers.last_mut() {
            Some(last) if end.is_some() => last.1 = last.1.max(cover.1),
            _ => self.covers.push(cover),
        }
        if !self.wanted.last_mut().is_some_and(|last| last.goes_on(wanted)) {
            self.wanted.push(Series { first: wanted.0, length: wanted.1 - wanted.0, distance: 0, count: 1 });
        }
        self.bytes += more;
        true
    }

    /// The parts that are wanted, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.wanted.iter().flat_map(Series::parts)
    }
}

impl Series {
    /// Adds a part that is next in the series; says no if it is not.
    fn goes_on(&mut self, (from, to): (u64, u64)) -> bool {
        let distance = if self.count == 1 { from - self.first } else { self.distance };
        let is_next = to - from == self.length && from == self.first + distance * self.count;
        if is_next {
            self.distance = distance;
            self.count += 1;
        }
        is_next
    }

    fn parts(&self) -> impl Iterator<Item = (u64, u64)> {
        let Self { first, length, distance, count } = *self;
        (0..count).map(move |number| first + number * distance).map(move |from| (from, from + length))
    }
}
