//! Hands decoded bytes on to everything that wants some of them.

use dcp_types::{DType, DataError, Dest, Fqn, ReadItem, ReadWhat, Region};

use super::gather::gather;
use super::layout::{Grid, Order};
use super::runs::{FileRuns, Pieces};
use super::stream::corrupt;
use super::target::{Delivery, Target};
use crate::format::{Steps, longest_value};
use crate::{Layout, StorageError, Stream};

/// The most bytes that are kept of a payload for a destination that cannot take them in the order in which they come.
const KEPT: u64 = 32 << 20;

/// Something that is wanted of an item.
pub(super) struct Part<'a> {
    pub(super) fqn: Fqn,
    /// In the chunk's coordinates; `None` for a value.
    pub(super) region: Option<Region>,
    pub(super) dest: Dest<'a>,
}

impl Part<'_> {
    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.region.as_ref().is_some_and(Region::is_empty) && !matches!(self.dest, Dest::Discard)
    }
}

/// Everything that wants some of a payload, which comes in order.
pub(super) struct Outlets<'a> {
    stream: Stream,
    /// The extents of the chunk; `None` for a value.
    sizes: Option<Vec<u64>>,
    dtype: Option<DType>,
    /// Those whose turn comes when the layout is known.
    waiting: Vec<Part<'a>>,
    open: Vec<(Fqn, Outlet<'a>)>,
    grid: Option<Grid>,
    steps: Steps,
    /// The most bytes that the payload may have, and the fewest.
    longest: u64,
    shortest: u64,
    /// Bytes handed on so far.
    position: u64,
    scratch: Vec<u8>,
    /// Bytes that are wanted; without those of values, whose length nobody knows.
    needed: u64,
    /// How many want all of what comes, whatever it is.
    takers: u64,
}

enum Outlet<'a> {
    /// Runs that ascend.
    Runs {
        pieces: Pieces,
        delivery: Delivery<'a>,
    },
    /// A span that is kept until it is complete.
    Kept {
        from: u64,
        to: u64,
        bytes: Vec<u8>,
        region: Region,
        delivery: Delivery<'a>,
    },
    Value(&'a mut Vec<u8>),
    Nowhere,
}

impl<'a> Outlets<'a> {
    pub(super) fn new(stream: &Stream, item: &ReadItem, dtype: Option<DType>, waiting: Vec<Part<'a>>) -> Self {
        let sizes = match &item.what {
            ReadWhat::Region { chunk, .. } => Some(chunk.region.sizes().to_vec()),
            ReadWhat::Value => None,
        };
        Self {
            stream: stream.clone(),
            sizes,
            dtype,
            waiting,
            open: Vec::new(),
            grid: None,
            steps: Steps::default(),
            longest: longest_value(stream.length),
            shortest: 0,
            position: 0,
            scratch: Vec::new(),
            needed: 0,
            takers: 0,
        }
    }

    /// Learns how the elements lie. Only the first call matters.
    pub(super) fn open(&mut self, layout: Option<&Layout>) -> Result<(), StorageError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        if let Some(sizes) = &self.sizes {
            let (layout, element) = (layout.cloned().unwrap_or_default(), self.dtype.map_or(1, DType::size));
            let grid = Grid::new(&layout, sizes, element, None).map_err(|reason| corrupt(&self.stream, reason))?;
            self.steps = Steps::new(&layout.steps, self.dtype).map_err(|reason| corrupt(&self.stream, reason))?;
            let is_exact = layout.first == 0 && layout.strides.is_none();
            self.longest = if is_exact { grid.end() } else { u64::MAX };
            self.shortest = grid.end();
            self.grid = Some(grid);
        }
        for part in std::mem::take(&mut self.waiting) {
            let is_all = matches!(part.dest, Dest::Discard) || part.region.is_none();
            match (&part.region, &self.grid) {
                (Some(region), Some(grid)) if !is_all => self.needed += region.numel() * grid.element(),
                _ => self.takers += 1,
            }
            let fqn = part.fqn.clone();
            let outlet = outlet(part, self.grid.as_ref());
            let outlet = outlet.map_err(|source| StorageError::Destination { fqn: fqn.clone(), source })?;
            self.open.push((fqn, outlet));
        }
        Ok(())
    }

    /// Takes the next bytes, but for the first ones of an element whose last ones are still to come; how many it took.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, StorageError> {
        let end = self.position + bytes.len() as u64;
        if end > self.longest {
            let reason = format!("it decodes to more than {} bytes", self.longest);
            return Err(corrupt(&self.stream, reason));
        }
        let first = self.grid.as_ref().map_or(0, Grid::first);
        let begun = end.saturating_sub(first) % self.steps.unit();
        let taken = bytes.len() - (begun as usize).min(bytes.len());
        let (position, steps, scratch) = (self.position, &self.steps, &mut self.scratch);
        for (fqn, outlet) in &mut self.open {
            let took = outlet.take(position, &bytes[..taken], self.grid.as_ref(), steps, scratch);
            took.map_err(|source| StorageError::Destination { fqn: fqn.clone(), source })?;
        }
        self.position += taken as u64;
        Ok(taken)
    }

    /// Ends the payload, of which so many bytes were held back; how many bytes were wanted.
    pub(super) fn finish(self, held: usize) -> Result<u64, StorageError> {
        let length = self.position + held as u64;
        if length < self.shortest {
            let reason = format!("it decodes to {length} bytes, but its elements need {}", self.shortest);
            return Err(corrupt(&self.stream, reason));
        }
        Ok(self.needed + self.takers * length)
    }
}

/// How a destination takes what comes; says why it cannot.
fn outlet<'a>(part: Part<'a>, grid: Option<&Grid>) -> Result<Outlet<'a>, DataError> {
    let all = |delivery| runs(FileRuns::One { start: 0, length: u64::MAX }, delivery);
    let target = match part.dest {
        Dest::Discard => return Ok(Outlet::Nowhere),
        Dest::Value(buffer) => {
            buffer.clear();
            return Ok(Outlet::Value(buffer));
        }
        Dest::Memory(view) => Target::View(view),
        Dest::Sink(sink) => Target::Sink(sink),
        other => return Err(format!("{other:?} cannot be filled").into()),
    };
    let (Some(grid), Some(region)) = (grid, part.region) else { return Ok(all(target.into())) };
    match (grid.order(), target) {
        (Order::Rows, target) => Ok(runs(grid.runs(&region)?, target.into())),
        (Order::Permuted(order), Target::View(view)) => {
            let found = grid.permuted(&order).runs(&region.permute(&order)?)?;
            Ok(runs(found, Delivery::View(view.permute(&order)?, 0)))
        }
        (_, target) => {
            let (from, to) = grid.span(&region);
            if to - from > KEPT {
                let reason = format!(
                    "the elements lie over {} bytes in another order, encoded; at most {KEPT} are put in order",
                    to - from
                );
                return Err(reason.into());
            }
            Ok(Outlet::Kept { from, to, bytes: Vec::new(), region, delivery: target.into() })
        }
    }
}

fn runs<'a>(runs: FileRuns, delivery: Delivery<'a>) -> Outlet<'a> {
    Outlet::Runs { pieces: runs.pieces(), delivery }
}

impl Outlet<'_> {
    /// Takes what it wants of the bytes that come at a position.
    fn take(
        &mut self,
        position: u64,
        bytes: &[u8],
        grid: Option<&Grid>,
        steps: &Steps,
        scratch: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        let end = position + bytes.len() as u64;
        let part = |from: u64, to: u64| {
            let (from, to) = (from.clamp(position, end), to.clamp(position, end));
            &bytes[(from - position) as usize..(to - position) as usize]
        };
        match self {
            Self::Nowhere => Ok(()),
            Self::Value(buffer) => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            Self::Runs { pieces, delivery } => {
                scratch.clear();
                while let Some((from, to)) = pieces.before(end) {
                    scratch.extend_from_slice(part(from, to));
                }
                steps.apply(scratch);
                if scratch.is_empty() { Ok(()) } else { delivery.deliver(scratch) }
            }
            Self::Kept { from, to, bytes: kept, region, delivery } => {
                let is_complete = *from < end && position < *to && *to <= end;
                kept.extend_from_slice(part(*from, *to));
                match grid {
                    Some(grid) if is_complete => gather(grid, region, kept, steps, scratch, delivery),
                    _ => Ok(()),
                }
            }
        }
    }
}
