//! Has a store fill buffers, and looks at what is in them while a core still has it in its cache.

use crate::{ReadRange, StorageError, Store, StorePath};

/// Fills all buffers, and shows each to `look`, with its number, as soon as the store allows it: what is longer than [`Io::READ_STEP`](crate::Io::READ_STEP) had better be
/// cut before. Says of how many parts of the file that was: ranges that touch are one.
pub(super) async fn fetch(
    store: &dyn Store,
    file: &StorePath,
    ranges: &mut [ReadRange<'_>],
    look: &mut (dyn FnMut(usize, &ReadRange<'_>) -> Result<(), StorageError> + Send),
) -> Result<u64, StorageError> {
    let offsets: Vec<u64> = ranges.iter().map(|range| range.offset).collect();
    let mut shown = 0;
    let mut filled = |range: &ReadRange<'_>| {
        // A store that shows them in another order than the contract says has them looked at below.
        if offsets.get(shown) == Some(&range.offset) {
            shown += 1;
            look(shown - 1, range)?;
        }
        Ok(())
    };
    store.read_each(file, ranges, &mut filled).await?;
    // What a store has forgotten to show must be looked at all the same.
    ranges.iter().enumerate().skip(shown).try_for_each(|(number, range)| look(number, range))?;
    let touch = |pair: &&[ReadRange<'_>]| pair[0].offset + pair[0].buffer.len() as u64 == pair[1].offset;
    Ok((ranges.len() - ranges.windows(2).filter(touch).count()) as u64)
}
