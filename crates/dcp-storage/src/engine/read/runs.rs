//! Runs of bytes in a payload.

use super::verify::Extent;

/// Runs of equal length at ascending offsets, in bytes.
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

    /// The start of each run, in ascending order.
    pub(super) fn starts(self) -> Box<dyn Iterator<Item = u64> + Send> {
        match self {
            Self::One { start, .. } => Box::new(std::iter::once(start)),
            Self::Many { runs, element, base } => Box::new(runs.map(move |start| base + start * element)),
        }
    }
}
