//! Audits values.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{Io, Locator, StorageReader};
use dcp_types::{Dest, ReadItem, Value};

use super::Foreign;
use super::run::Run;
use crate::Error;
use crate::checkpoint::each;

/// How many values are located at a time.
const BATCH: usize = 1 << 10;
/// How many bytes of them are read at a time, but for a single one that is larger.
const BYTES: u64 = 4 << 20;

impl Run<'_> {
    pub(super) fn values(&mut self, io: &Io<'_>) -> Result<(), Error> {
        let checkpoint = self.checkpoint;
        let entries = checkpoint.metadata().entries().enumerate();
        let mut entries = entries.filter(|(_, (_, entry))| entry.as_tensor().is_none()).map(|(number, _)| number);
        loop {
            let items: Vec<ReadItem> = entries.by_ref().take(BATCH).map(ReadItem::value).collect();
            if items.is_empty() {
                return Ok(());
            }
            let located = self.locate_values(items, io)?;
            if !self.quick {
                self.read_values(&located, io)?;
            }
        }
    }

    fn locate_values(&mut self, items: Vec<ReadItem>, io: &Io<'_>) -> Result<Vec<(ReadItem, Locator)>, Error> {
        let reader = self.checkpoint.reader();
        let locators = each(&items, &mut |items| Ok(io.block_on(reader.locate(items.to_vec(), io))?));
        let mut located = Vec::with_capacity(items.len());
        for (item, locator) in items.into_iter().zip(locators) {
            match locator {
                Ok(locator) => {
                    self.overlaps.add_value(&locator);
                    if self.quick {
                        self.audit.bytes = self.audit.bytes.saturating_add(stored(&locator));
                    }
                    located.push((item, locator));
                }
                Err(error) => self.blame(&item, None, error)?,
            }
        }
        Ok(located)
    }

    /// Reads and decodes values, as many at a time as make up [`BYTES`].
    fn read_values(&mut self, mut rest: &[(ReadItem, Locator)], io: &Io<'_>) -> Result<(), Error> {
        let reader = self.checkpoint.reader();
        while !rest.is_empty() {
            let mut bytes = 0u64;
            let fits = |(_, locator): &&(ReadItem, Locator)| {
                // How long a stream gets is not known: it is read by itself.
                let length = if let Locator::Stream(_) = locator { u64::MAX } else { stored(locator) };
                bytes = bytes.saturating_add(length);
                bytes <= BYTES
            };
            let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            let mut in_blocks = 0;
            let encoded = each(now, &mut |some| {
                let mut encoded: Vec<Vec<u8>> = vec![Vec::new(); some.len()];
                let wanted = some.iter().zip(&mut encoded).map(|((item, locator), buffer)| {
                    (item.clone(), if is_sealed(locator) { Dest::Discard } else { Dest::Value(buffer) })
                });
                in_blocks += io.block_on(reader.read_data(wanted.collect(), io))?.verified;
                Ok(encoded)
            });
            let mut inside = 0;
            for ((item, locator), encoded) in now.iter().zip(encoded) {
                if encoded.is_ok() && is_sealed(locator) {
                    self.audit.bytes = self.audit.bytes.saturating_add(stored(locator));
                    continue;
                }
                match encoded.and_then(|encoded| self.decode(item, encoded.into())) {
                    Ok(checked) => inside += checked,
                    Err(error) => {
                        self.audit.bytes = self.audit.bytes.saturating_add(stored(locator));
                        self.blame(item, Some(locator), error)?;
                    }
                }
            }
            // Either the format sums all that it stores, or what it stores has sums inside.
            self.audit.checked += in_blocks.max(inside);
            rest = later;
        }
        Ok(())
    }

    /// Decodes a value; returns how many of its bytes had a checksum inside.
    fn decode(&mut self, item: &ReadItem, encoded: Bytes) -> Result<u64, Error> {
        let opened = self.checkpoint.opened();
        let value = opened.decode_value(item.entry, encoded.clone())?;
        if let Some(harm) = opened.harm_in_value(item.entry, &value) {
            return Err(harm.into());
        }
        self.audit.bytes = self.audit.bytes.saturating_add(encoded.len() as u64);
        let mut globals = Vec::new();
        collect(&value, &mut globals);
        globals.sort();
        globals.dedup();
        if !globals.is_empty() {
            self.audit.foreign.push(Foreign { fqn: self.name(item.entry), globals });
        }
        Ok(opened.checked_in_value(item.entry, &encoded))
    }
}

/// Whether a value cannot be decoded here, but the bytes that are stored of it have checksums.
fn is_sealed(locator: &Locator) -> bool {
    matches!(locator, Locator::Stream(stream) if stream.checks.is_some() && stream.layers.missing().is_some())
}

/// How many bytes of a value are stored.
fn stored(locator: &Locator) -> u64 {
    match locator {
        Locator::Extent(extent) => extent.length,
        Locator::Stream(stream) => stream.length,
        Locator::Inline(bytes) => bytes.len() as u64,
        _ => 0,
    }
}

/// What the foreign objects in a value would run. No value is nested deeper than [`Value::MAX_DEPTH`].
fn collect(value: &Value, globals: &mut Vec<Arc<str>>) {
    match value {
        Value::Opaque(opaque) => globals.extend(opaque.globals.iter().cloned()),
        Value::List(items) | Value::Tuple(items) => items.iter().for_each(|item| collect(item, globals)),
        Value::Dict(items) => items.iter().for_each(|(_, item)| collect(item, globals)),
        Value::Typed(typed) => collect(&typed.value, globals),
        _ => {}
    }
}
