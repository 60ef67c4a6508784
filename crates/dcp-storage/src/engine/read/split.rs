//! Cuts a wanted item into tasks.

use std::sync::Arc;

use dcp_types::{DataError, Dest, Region, TypesError, ViewMut};

use super::task::{EXACT_RUN, Target, Task};
use super::verify::Extent;
use crate::{StorageError, StoreTraits};

/// The tasks that fill a destination: many for memory, one for a sink, which takes its bytes in order.
pub(super) fn tasks<'a>(
    extent: Arc<Extent>,
    sizes: &[u64],
    region: Region,
    element: u64,
    dest: Dest<'a>,
    traits: &StoreTraits,
) -> Result<Vec<Task<'a>>, StorageError> {
    if let Dest::Value(buffer) = dest {
        buffer.clear();
        // The extent has been checked against the real size of its file.
        buffer.resize((region.numel() * element) as usize, 0);
        return Ok(flat(&extent, 0, buffer, traits));
    }
    if region.is_empty() {
        return Ok(Vec::new());
    }
    let misfit = |reason: String| StorageError::Destination { fqn: extent.fqn().clone(), source: reason.into() };
    let shared = Arc::new(sizes.to_vec());
    let task = |region, target| Task::new(Arc::clone(&extent), Arc::clone(&shared), region, element, target);
    match dest {
        Dest::Sink(sink) => Ok(vec![task(region, Target::Sink(sink))?]),
        Dest::Memory(view) => {
            if view.shape() != region.sizes() || view.nbytes() != region.numel() * element {
                let found = format!("a buffer of {} {:?} for region {region}", view.dtype(), view.shape());
                return Err(misfit(found));
            }
            let runs = region.runs(sizes).map_err(|fault| destination(&extent, fault))?;
            let first = runs.clone().next().unwrap_or(0) * element;
            if runs.remaining() == 1 {
                match view.into_bytes() {
                    Ok(bytes) => return Ok(flat(&extent, first, bytes, traits)),
                    Err(view) => return boxes(&extent, sizes, region, element, view, traits, &task),
                }
            }
            boxes(&extent, sizes, region, element, view, traits, &task)
        }
        other => Err(misfit(format!("{other:?} cannot be filled"))),
    }
}

/// A contiguous run of the file into contiguous memory: cut by bytes, at the edges of checksum blocks.
fn flat<'a>(extent: &Arc<Extent>, start: u64, bytes: &'a mut [u8], traits: &StoreTraits) -> Vec<Task<'a>> {
    let step = traits.read_size.next_multiple_of(extent.block());
    let (mut rest, mut start, mut tasks) = (bytes, start, Vec::new());
    while !rest.is_empty() {
        let to_edge = (start / step + 1) * step - start;
        let (now, later) = rest.split_at_mut(to_edge.min(rest.len() as u64) as usize);
        let length = now.len() as u64;
        tasks.push(Task::flat(Arc::clone(extent), start, now));
        start += length;
        rest = later;
    }
    tasks
}

/// Anything else: cut into boxes, outermost dimension first.
fn boxes<'a>(
    extent: &Arc<Extent>,
    sizes: &[u64],
    region: Region,
    element: u64,
    view: ViewMut<'a>,
    traits: &StoreTraits,
    task: &dyn Fn(Region, Target<'a>) -> Result<Task<'a>, StorageError>,
) -> Result<Vec<Task<'a>>, StorageError> {
    let mut tasks = Vec::new();
    let mut stack = vec![(region, view)];
    while let Some((region, view)) = stack.pop() {
        let widest = (0..region.ndim()).find(|&dim| region.sizes()[dim] > 1);
        let bytes = bytes_to_read(&region, sizes, element, traits).map_err(|fault| destination(extent, fault))?;
        match widest {
            Some(dim) if bytes > traits.read_size => {
                let rows = region.sizes()[dim];
                let row = (bytes / rows).max(1);
                let low_rows = (traits.read_size / row).clamp(1, rows - 1);
                let (low, high) = region.split(dim, region.offsets()[dim] + low_rows);
                let (low_view, high_view) = view.split_at(dim, low_rows).map_err(|fault| destination(extent, fault))?;
                stack.push((high, high_view));
                stack.push((low, low_view));
            }
            _ => tasks.push(task(region, Target::View(view))?),
        }
    }
    Ok(tasks)
}

/// About how many bytes are read for a region: short runs with small gaps are read with what lies between them.
fn bytes_to_read(region: &Region, sizes: &[u64], element: u64, traits: &StoreTraits) -> Result<u64, TypesError> {
    let runs = region.runs(sizes)?;
    let (length, gap) = (runs.run_length() * element, runs.gap() * element);
    let is_read_as_one = length < EXACT_RUN && gap <= traits.coalesce_gap;
    Ok(runs.remaining() * if is_read_as_one { length + gap } else { length })
}

fn destination(extent: &Extent, fault: impl Into<DataError>) -> StorageError {
    StorageError::Destination { fqn: extent.fqn().clone(), source: fault.into() }
}
