//! Feeds a sink from a chunk that lies permuted: a slab of rows at a time is put in order in memory.

use dcp_types::{DType, DataSink, Region, ViewMut};

use super::layout::Grid;
use super::reading::{Reading, room};
use super::target::Target;
use crate::{Io, StorageError};

/// The size of a slab in bytes. The larger it is, the longer are the runs of the file that it is made of.
const SLAB: u64 = 4 << 20;

/// A region for a sink.
pub(super) struct Staged<'a> {
    /// The chunk with its dimensions in the order of the file.
    pub(super) grid: Grid,
    pub(super) order: Vec<usize>,
    /// In the chunk's own order.
    pub(super) region: Region,
    pub(super) dtype: DType,
    pub(super) sink: Box<dyn DataSink + 'a>,
}

impl Staged<'_> {
    pub(super) async fn run(self, reading: &mut Reading<'_>) -> Result<(), StorageError> {
        let Self { grid, order, region, dtype, mut sink } = self;
        let mut memory = Vec::new();
        let mut rest = vec![region];
        while let Some(slab) = rest.pop() {
            let bytes = slab.numel() * dtype.size();
            if bytes > SLAB
                && let Some(dim) = (0..slab.ndim()).find(|&dim| slab.sizes()[dim] > 1)
            {
                let rows = slab.sizes()[dim];
                let now = (SLAB / (bytes / rows)).clamp(1, rows - 1);
                let (now, later) = slab.split(dim, slab.offsets()[dim] + now);
                rest.push(later);
                rest.push(now);
                continue;
            }
            let staged = room(&mut memory, bytes);
            let view = ViewMut::from_bytes(dtype, slab.sizes(), staged).and_then(|view| view.permute(&order));
            let view = view.map_err(|fault| reading.refused(fault))?;
            let runs =
                slab.permute(&order).and_then(|slab| grid.runs(&slab)).map_err(|fault| reading.refused(fault))?;
            reading.fill(runs, Target::View(view)).await?;
            for bytes in memory[..bytes as usize].chunks(Io::READ_BUFFER as usize) {
                sink.write(bytes).map_err(|fault| reading.refused(fault))?;
            }
        }
        Ok(())
    }
}
