//! Runs of bytes in a payload.

use super::verify::Extent;

/// Runs of equal length at ascending offsets, in bytes.
#[derive(Clone)]
pub(super) enum FileRuns {
    One { start: u64, length: u64 },
    Many { runs: dcp_types::Runs, element: u64, base: u64 },
}

impl FileRuns {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::One { length, .. } => *length,
            Self::Many { runs, element, .. } => runs.run_length() * element,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::One { .. } => 1,
            Self::Many { runs, .. } => runs.remaining(),
        }
    }

    /// The smallest gap between two runs.
    pub(super) fn gap(&self) -> u64 {
        match self {
            Self::One { .. } => 0,
            Self::Many { runs, element, .. } => runs.gap() * element,
        }
    }

    /// The run, if there is but one: its start and length.
    pub(super) fn single(&self) -> Option<(u64, u64)> {
        match self {
            Self::One { start, length } => Some((*start, *length)),
            Self::Many { runs, element, base } if runs.remaining() == 1 => {
                runs.clone().next().map(|start| (base + start * element, self.length()))
            }
            Self::Many { .. } => None,
        }
    }

    /// Whether this is one run from the edge of a checksum block to the edge of one.
    pub(super) fn is_whole_blocks(&self, extent: &Extent) -> bool {
        self.single().is_some_and(|(start, length)| {
            let end = start + length;
            start % extent.block() == 0 && (end % extent.block() == 0 || end == extent.length)
        })
    }

    /// The runs, to be taken piece by piece.
    pub(super) fn pieces(self) -> Pieces {
        let length = self.length();
        let mut pieces = Pieces { now: (0, 0), length, later: self };
        pieces.go_on();
        pieces
    }

    /// The start of each run, in ascending order.
    pub(super) fn starts(mut self) -> impl Iterator<Item = u64> {
        std::iter::from_fn(move || self.next_start())
    }

    fn next_start(&mut self) -> Option<u64> {
        match self {
            Self::One { length: 0, .. } => None,
            Self::One { start, length } => {
                *length = 0;
                Some(*start)
            }
            Self::Many { runs, element, base } => runs.next().map(|start| *base + start * *element),
        }
    }
}

/// What is left of runs, in ascending order.
pub(super) struct Pieces {
    /// The run that is next, or what is left of it; empty at the end.
    now: (u64, u64),
    length: u64,
    later: FileRuns,
}

impl Pieces {
    /// Where the next piece starts.
    pub(super) fn start(&self) -> Option<u64> {
        let (from, to) = self.now;
        (from < to).then_some(from)
    }

    /// The next piece that starts before `edge`, as far as there.
    pub(super) fn before(&mut self, edge: u64) -> Option<(u64, u64)> {
        let (from, to) = self.now;
        if from >= edge.min(to) {
            return None;
        }
        if to <= edge {
            self.go_on();
            return Some((from, to));
        }
        self.now.0 = edge;
        Some((from, edge))
    }

    fn go_on(&mut self) {
        self.now = self.later.next_start().map_or((0, 0), |start| (start, start + self.length));
    }
}

impl Iterator for Pieces {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        self.before(u64::MAX)
    }
}
