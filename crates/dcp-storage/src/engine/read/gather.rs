//! Picks elements that share bytes, or lie in no order, out of spans of the file.

use dcp_types::{DataError, Region};

use super::layout::Grid;
use super::reading::{Reading, room};
use super::target::{Delivery, Target};
use super::verify::Extent;
use crate::format::Steps;
use crate::{ReadRange, StorageError};

/// Elements are handed on in pieces of so many bytes, which is a multiple of every element's size.
const PIECE: usize = 64 << 10;

/// A region of a chunk that lies in no order, and its target.
pub(super) struct Gathered<'a> {
    pub(super) grid: Grid,
    pub(super) region: Region,
    pub(super) target: Target<'a>,
}

impl Gathered<'_> {
    /// Cuts the region into boxes whose spans fit a buffer, one after another: a sink takes them row-major, memory in any
    /// order.
    pub(super) async fn run(self, reading: &mut Reading<'_>, extent: &Extent) -> Result<(), StorageError> {
        let Self { grid, region, target } = self;
        let (mut buffer, mut scratch) = (Vec::new(), Vec::new());
        let (view, mut sink) = match target {
            Target::View(view) => (Some(view), None),
            other => (None, Some(Delivery::from(other))),
        };
        let mut rest = vec![(region, view)];
        while let Some((part, view)) = rest.pop() {
            if let Some((dim, rows)) = cut(&grid, &part, reading.read_buffer(), view.is_none()) {
                let (low, high) = part.split(dim, part.offsets()[dim] + rows);
                let halves = view.map(|view| view.split_at(dim, rows)).transpose();
                let (low_view, high_view) = halves.map_err(|fault| reading.refused(fault))?.unzip();
                rest.push((high, high_view));
                rest.push((low, low_view));
                continue;
            }
            let (from, to) = grid.span(&part);
            let span = room(&mut buffer, to - from);
            reading.fetch(&mut [ReadRange { offset: extent.offset + from, buffer: &mut *span }]).await?;
            let mut view = view.map(|view| Delivery::View(view, 0));
            if let Some(delivery) = view.as_mut().or(sink.as_mut()) {
                gather(&grid, &part, span, &extent.steps, &mut scratch, delivery)
                    .map_err(|fault| reading.refused(fault))?;
            }
        }
        Ok(())
    }
}

/// Where to cut a region whose span is longer than `limit` bytes: the dimension, and how many of its rows come first.
pub(super) fn cut(grid: &Grid, region: &Region, limit: u64, row_major: bool) -> Option<(usize, u64)> {
    let (from, to) = grid.span(region);
    if to - from <= limit {
        return None;
    }
    let wide = (0..region.ndim()).filter(|&dim| region.sizes()[dim] > 1);
    let reach = |dim: usize| (region.sizes()[dim] - 1).saturating_mul(grid.stride(dim));
    let dim = if row_major { wide.min() } else { wide.max_by_key(|&dim| reach(dim)) }?;
    let room = limit.saturating_sub(to - from - reach(dim).min(to - from));
    let rows = room.checked_div(grid.stride(dim)).unwrap_or(0) + 1;
    Some((dim, rows.clamp(1, region.sizes()[dim] - 1)))
}

/// Hands on the elements of a region in row-major order, from the bytes that are its span.
pub(super) fn gather(
    grid: &Grid,
    region: &Region,
    span: &[u8],
    steps: &Steps,
    scratch: &mut Vec<u8>,
    delivery: &mut Delivery<'_>,
) -> Result<(), DataError> {
    scratch.clear();
    let walk = Walk::new(grid, region);
    let length = walk.length * grid.element() as usize;
    for start in walk {
        let start = start * grid.element() as usize;
        let mut run = &span[start..start + length];
        while !run.is_empty() {
            let (now, later) = run.split_at(run.len().min(PIECE - scratch.len()));
            scratch.extend_from_slice(now);
            run = later;
            if scratch.len() == PIECE {
                steps.apply(scratch);
                delivery.deliver(scratch)?;
                scratch.clear();
            }
        }
    }
    steps.apply(scratch);
    if scratch.is_empty() { Ok(()) } else { delivery.deliver(scratch) }
}

/// The runs of a region in row-major order, wherever they lie. In elements from the region's first one on.
struct Walk {
    length: usize,
    remaining: u64,
    position: usize,
    /// Innermost first: count, stride and index of the dimensions that jump.
    jumps: Vec<(u64, usize, u64)>,
}

impl Walk {
    fn new(grid: &Grid, region: &Region) -> Self {
        let mut walk = Self { length: 1, remaining: 1, position: 0, jumps: Vec::new() };
        for (&size, &stride) in region.sizes().iter().zip(grid.strides()).rev().filter(|(size, _)| **size > 1) {
            if walk.jumps.is_empty() && stride == walk.length as u64 {
                walk.length *= size as usize;
            } else {
                walk.remaining *= size;
                walk.jumps.push((size, stride as usize, 0));
            }
        }
        walk
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.remaining == 0 {
            return None;
        }
        let start = self.position;
        self.remaining -= 1;
        for (count, stride, index) in &mut self.jumps {
            *index += 1;
            if *index < *count {
                self.position += *stride;
                break;
            }
            self.position -= (*count as usize - 1) * *stride;
            *index = 0;
        }
        Some(start)
    }
}
