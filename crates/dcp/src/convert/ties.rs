//! Tensors that are other names of one another: those that lie at one place in the source, in the same way.

use std::collections::HashMap;

use dcp_storage::{Extent, Locator, StorePath};
use dcp_types::{Chunks, DType, ReadItem, Shape};

use super::select::Chosen;
use crate::{Checkpoint, Error};

/// So many tensors are located in one call.
const TENSORS: usize = 1 << 10;

/// For each chosen entry that is another name of an earlier one: of which.
pub(super) fn find(source: &Checkpoint, chosen: &[Chosen]) -> Result<HashMap<usize, usize>, Error> {
    let mut known: HashMap<(StorePath, u64, DType, Shape), (usize, Extent)> = HashMap::new();
    let mut ties = HashMap::new();
    let whole = |chosen: &Chosen| {
        let tensor = source.metadata().entry(chosen.entry)?.1.as_tensor()?;
        let chunk = tensor.all_chunks().next().filter(|_| tensor.chunks == Chunks::Whole)?;
        Some((chosen.entry, tensor, ReadItem::whole_chunk(chosen.entry, chunk)))
    };
    let all: Vec<_> = chosen.iter().filter_map(whole).collect();
    for batch in all.chunks(TENSORS) {
        let located = source.locate(batch.iter().map(|(.., item)| item.clone()).collect())?;
        for ((entry, tensor, _), locator) in batch.iter().zip(located) {
            let Locator::Extent(extent) = locator else { continue };
            let place = (extent.file.clone(), extent.offset, tensor.dtype, tensor.shape.clone());
            let (first, at) = known.entry(place).or_insert((*entry, extent.clone()));
            if first != entry && *at == extent {
                ties.insert(*entry, *first);
            }
        }
    }
    Ok(ties)
}
