//! Cuts a wanted region into tasks.

use std::sync::Arc;

use dcp_types::{DType, Dest, Region, TypesError, ViewMut};

use super::gather::{self, Gathered};
use super::layout::{Grid, Order};
use super::runs::FileRuns;
use super::sizes::Sizes;
use super::stage::Staged;
use super::straight::Straight;
use super::target::Target;
use super::task::Task;
use super::together::{self, Together};
use super::verify::Extent;
use crate::StorageError;
use crate::commons::Member;

/// The most tasks that read through one extent.
const MOST_TASKS: u64 = 1 << 16;

/// A region of a chunk, and how the chunk lies in its extent.
pub(super) struct Piece {
    pub(super) extent: Arc<Extent>,
    pub(super) grid: Grid,
    pub(super) order: Order,
    pub(super) region: Region,
    /// `None` for values.
    pub(super) dtype: Option<DType>,
    /// For what ranks of this process read together.
    pub(super) member: Option<Arc<Member>>,
}

impl Piece {
    /// The tasks that fill a destination: many for memory, one for a sink, which takes its bytes in order.
    pub(super) fn tasks<'a>(self, dest: Dest<'a>, sizes: &Sizes) -> Result<Vec<Task<'a>>, StorageError> {
        let bytes = self.region.numel() * self.grid.element();
        match dest {
            Dest::Value(buffer) => {
                buffer.clear();
                // Formats check extents against the real size of their file. One that does not must not end the process.
                let length = usize::try_from(bytes).ok().filter(|&bytes| buffer.try_reserve_exact(bytes).is_ok());
                let length = length.ok_or_else(|| self.extent.refused(format!("a value of {bytes} bytes")))?;
                buffer.resize(length, 0);
                Ok(flat(&self.extent, 0, buffer, sizes))
            }
            Dest::Sink(sink) => Ok(vec![self.sink(sink)?]),
            Dest::Memory(view) => {
                if !is_fit(&view, &self.region, self.grid.element()) {
                    let found = format!("a buffer of {} {:?} for region {}", view.dtype(), view.shape(), self.region);
                    return Err(self.extent.refused(found));
                }
                let extent = Arc::clone(&self.extent);
                self.memory(view, sizes).map_err(|fault| extent.refused(fault))
            }
            other => Err(self.extent.refused(format!("{other:?} cannot be filled"))),
        }
    }

    fn sink<'a>(self, sink: Box<dyn dcp_types::DataSink + 'a>) -> Result<Task<'a>, StorageError> {
        let Self { extent, grid, order, region, dtype, .. } = self;
        match (order, dtype) {
            (Order::Permuted(order), Some(dtype)) => {
                let grid = grid.permuted(&order);
                Ok(Task::Staged { extent, staged: Staged { grid, order, region, dtype, sink } })
            }
            (Order::Tangled, _) => {
                Ok(Task::Gathered { extent, gathered: Gathered { grid, region, target: Target::Sink(sink) } })
            }
            _ => {
                let runs = grid.runs(&region).map_err(|fault| extent.refused(fault))?;
                Ok(Task::Runs { extent, runs, target: Target::Sink(sink) })
            }
        }
    }

    fn memory<'a>(self, view: ViewMut<'a>, sizes: &Sizes) -> Result<Vec<Task<'a>>, TypesError> {
        let Self { extent, grid, order, region, member, .. } = self;
        let (grid, region, view) = match order {
            Order::Permuted(order) => (grid.permuted(&order), region.permute(&order)?, view.permute(&order)?),
            Order::Rows => (grid, region, view),
            Order::Tangled => return tangled(&extent, &grid, region, view, sizes),
        };
        match grid.runs(&region)?.single() {
            Some((start, _)) => match view.into_bytes() {
                Ok(bytes) => Ok(flat(&extent, start, bytes, sizes)),
                Err(view) => boxes(&extent, &grid, region, view, sizes, member.as_ref()),
            },
            None => boxes(&extent, &grid, region, view, sizes, member.as_ref()),
        }
    }
}

/// Whether memory is just as large as a region.
pub(super) fn is_fit(view: &ViewMut<'_>, region: &Region, element: u64) -> bool {
    view.shape() == region.sizes() && view.nbytes() == region.numel() * element
}

/// All of an extent, as it lies, for its checksums.
pub(super) fn whole<'a>(extent: &Arc<Extent>, sizes: &Sizes) -> Vec<Task<'a>> {
    let mut tasks = Vec::new();
    let mut start = 0;
    // An extent that claims to be huge is not worth a huge list.
    let step = step(extent, sizes).max(extent.length.div_ceil(MOST_TASKS));
    while start < extent.length {
        let length = step.min(extent.length - start);
        let runs = FileRuns::One { start, length };
        tasks.push(Task::Runs { extent: Arc::clone(extent), runs, target: Target::Nowhere });
        start += length;
    }
    tasks
}

/// A contiguous run of the file into contiguous memory: cut by bytes, at the edges of checksum blocks.
fn flat<'a>(extent: &Arc<Extent>, start: u64, bytes: &'a mut [u8], sizes: &Sizes) -> Vec<Task<'a>> {
    let step = step(extent, sizes);
    let (mut rest, mut start, mut tasks) = (bytes, start, Vec::new());
    while !rest.is_empty() {
        // No element is cut that something is to be done to.
        let to_edge = ((start / step + 1) * step - start).next_multiple_of(extent.steps.unit());
        let (now, later) = rest.split_at_mut(to_edge.min(rest.len() as u64) as usize);
        let length = now.len() as u64;
        let (extent, runs) = (Arc::clone(extent), FileRuns::One { start, length });
        tasks.push(if extent.widen && !runs.is_whole_blocks(&extent) {
            // What is read does not end where the memory does.
            Task::Runs { extent, runs, target: Target::Bytes(now) }
        } else {
            Task::Straight(Straight::new(extent, start, now))
        });
        start += length;
        rest = later;
    }
    tasks
}

/// How many bytes one task reads: whole checksum blocks, unless they are large. The checksums of their parts are combined.
fn step(extent: &Extent, sizes: &Sizes) -> u64 {
    let (block, size) = (extent.block(), sizes.longest);
    if extent.widen || block <= size { size.next_multiple_of(block) } else { size }
}

/// Anything else: cut into boxes, outermost dimension first.
fn boxes<'a>(
    extent: &Arc<Extent>,
    grid: &Grid,
    region: Region,
    view: ViewMut<'a>,
    sizes: &Sizes,
    member: Option<&Arc<Member>>,
) -> Result<Vec<Task<'a>>, TypesError> {
    let member = |runs: &FileRuns| member.filter(|_| together::takes(extent, runs, sizes));
    let cut = |region: &Region| {
        let runs = grid.runs(region)?;
        let bytes = bytes_to_read(&runs, sizes);
        let longest = if member(&runs).is_some() { together::LONGEST } else { sizes.longest };
        let widest = (0..region.ndim()).find(|&dim| region.sizes()[dim] > 1).filter(|_| bytes > longest);
        Ok(widest.map(|dim| {
            let rows = region.sizes()[dim];
            let row = (bytes / rows).max(1);
            (dim, (longest / row).clamp(1, rows - 1))
        }))
    };
    let mut payload = None;
    let task = |(region, view)| {
        let (extent, runs) = (Arc::clone(extent), grid.runs(&region)?);
        Ok(match member(&runs) {
            Some(member) => {
                let payload = *payload.get_or_insert_with(|| together::payload(member, &extent));
                Task::Together(Together::new(member, payload, extent, runs, view, sizes))
            }
            None => Task::Runs { extent, runs, target: Target::View(view) },
        })
    };
    pieces(region, view, cut)?.into_iter().map(task).collect()
}

/// About how many bytes are read for a region: short runs with small gaps are read with what lies between them.
fn bytes_to_read(runs: &FileRuns, sizes: &Sizes) -> u64 {
    runs.count() * if sizes.are_read_as_one(runs) { runs.length() + runs.gap() } else { runs.length() }
}

/// Boxes whose spans are worth a task each.
fn tangled<'a>(
    extent: &Arc<Extent>,
    grid: &Grid,
    region: Region,
    view: ViewMut<'a>,
    sizes: &Sizes,
) -> Result<Vec<Task<'a>>, TypesError> {
    let task = |(region, view)| {
        let gathered = Gathered { grid: grid.clone(), region, target: Target::View(view) };
        Task::Gathered { extent: Arc::clone(extent), gathered }
    };
    let pieces = pieces(region, view, |region| Ok(gather::cut(grid, region, sizes.longest, false)))?;
    Ok(pieces.into_iter().map(task).collect())
}

/// A region and its destination, in pieces: each is cut, after so many rows of a dimension, until `cut` leaves it whole.
fn pieces<'a>(
    region: Region,
    view: ViewMut<'a>,
    cut: impl Fn(&Region) -> Result<Option<(usize, u64)>, TypesError>,
) -> Result<Vec<(Region, ViewMut<'a>)>, TypesError> {
    let mut pieces = Vec::new();
    let mut stack = vec![(region, view)];
    while let Some((region, view)) = stack.pop() {
        match cut(&region)? {
            Some((dim, rows)) => {
                let (low, high) = region.split(dim, region.offsets()[dim] + rows);
                let (low_view, high_view) = view.split_at(dim, rows)?;
                stack.push((high, high_view));
                stack.push((low, low_view));
            }
            None => pieces.push((region, view)),
        }
    }
    Ok(pieces)
}
