//! Audits the chunks of tensors.

use dcp_storage::{Io, Locator, StorageReader};
use dcp_types::{Chunk, Dest, ReadItem};

use super::run::Run;
use crate::Error;
use crate::checkpoint::each;

/// How many chunks are located, and held, at a time.
const BATCH: usize = 1 << 12;
/// How many bytes of them are read at a time, but for a single one that is larger. After something bad they are read again.
const BYTES: u64 = 256 << 20;

/// A chunk that is there.
struct Located {
    item: ReadItem,
    locator: Locator,
    bytes: u64,
}

impl Run<'_> {
    pub(super) fn chunks(&mut self, io: &Io<'_>) -> Result<(), Error> {
        let checkpoint = self.checkpoint;
        let tensors = checkpoint.metadata().entries().enumerate();
        let tensors = tensors.filter_map(|(number, (_, entry))| Some((number, entry.as_tensor()?)));
        let mut chunks =
            tensors.flat_map(|(entry, tensor)| tensor.all_chunks().map(move |chunk| (entry, tensor.dtype, chunk)));
        loop {
            let mut batch = Vec::new();
            while batch.len() < BATCH
                && let Some((entry, dtype, chunk)) = chunks.next()
            {
                if self.is_given_up(entry) {
                    self.audit.unlisted += 1;
                } else {
                    batch.push((entry, chunk.region.numel() * dtype.size(), chunk));
                }
            }
            if batch.is_empty() {
                return Ok(());
            }
            let located = self.locate_chunks(batch, io)?;
            if !self.quick {
                self.read_chunks(&located, io)?;
            }
        }
    }

    fn locate_chunks(&mut self, batch: Vec<(usize, u64, Chunk)>, io: &Io<'_>) -> Result<Vec<Located>, Error> {
        let (sizes, items): (Vec<u64>, Vec<ReadItem>) =
            batch.into_iter().map(|(entry, bytes, chunk)| (bytes, ReadItem::whole_chunk(entry, chunk))).unzip();
        let reader = self.checkpoint.reader();
        let locators = each(&items, &mut |items| Ok(io.block_on(reader.locate(items.to_vec(), io))?));
        let mut located = Vec::with_capacity(items.len());
        for ((item, decoded), locator) in items.into_iter().zip(sizes).zip(locators) {
            match locator {
                Ok(locator) => {
                    self.overlaps.add_chunk(item.entry, &locator);
                    let bytes = match &locator {
                        Locator::Extent(extent) => extent.length,
                        Locator::Stream(stream) if stream.layers.missing().is_some() => stream.length,
                        _ => decoded,
                    };
                    self.audit.bytes = self.audit.bytes.saturating_add(bytes);
                    located.push(Located { item, locator, bytes });
                }
                Err(error) => self.blame(&item, None, error)?,
            }
        }
        Ok(located)
    }

    /// Reads chunks through, as many at a time as make up [`BYTES`].
    fn read_chunks(&mut self, mut rest: &[Located], io: &Io<'_>) -> Result<(), Error> {
        let reader = self.checkpoint.reader();
        while !rest.is_empty() {
            let mut bytes = 0u64;
            let fits = |located: &&Located| {
                bytes = bytes.saturating_add(located.bytes);
                bytes <= BYTES
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            let mut checked = 0;
            let outcomes = each(now, &mut |some| {
                let wanted = some.iter().map(|located| (located.item.clone(), Dest::Discard)).collect();
                checked += io.block_on(reader.read_data(wanted, io))?.verified;
                Ok(vec![(); some.len()])
            });
            self.audit.checked += checked;
            for (located, outcome) in now.iter().zip(outcomes) {
                if let Err(error) = outcome {
                    self.blame(&located.item, Some(&located.locator), error)?;
                }
            }
            rest = later;
        }
        Ok(())
    }
}
