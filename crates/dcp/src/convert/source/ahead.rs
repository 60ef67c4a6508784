//! Short chunks: read many at a time, before they are asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use dcp_types::{DataError, WriteItem, WriteWhat};

use super::{Origin, Wanted};

/// The most chunks of the source that are read at a time.
const CHUNKS: usize = 1024;

/// The items of a rank in the order in which they are written, most likely, and those that have been read and not yet asked for.
pub(super) struct Ahead {
    /// Chunks, by ascending number of their entry and then of the chunk.
    items: Vec<WriteItem>,
    read: Mutex<HashMap<usize, Bytes>>,
}

impl Ahead {
    pub(super) fn new(mut items: Vec<WriteItem>) -> Self {
        items.retain(|item| item.what != WriteWhat::Value);
        Self { items, read: Mutex::default() }
    }

    /// The bytes of a short chunk.
    pub(super) fn chunk(&self, item: &WriteItem, origin: &Origin<'_>) -> Result<Bytes, DataError> {
        let number = self.number(item).ok_or("the rank has no such chunk")?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = read.remove(&number) {
            return Ok(bytes);
        }
        // What is left of the last time is not asked for in this order.
        read.clear();
        self.read_from(number, origin, &mut read)?;
        Ok(read.remove(&number).ok_or("it was not read")?)
    }

    /// Reads an item, and what follows it.
    fn read_from(&self, first: usize, origin: &Origin<'_>, read: &mut HashMap<usize, Bytes>) -> Result<(), DataError> {
        let (mut numbers, mut wanted, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut total, mut parts) = (0, 0);
        for (number, item) in self.items.iter().enumerate().skip(first) {
            let WriteWhat::Chunk(chunk, length) = &item.what else { continue };
            let next = origin.wanted(item.entry, &chunk.region)?;
            let is_alike = wanted.first().is_none_or(|first: &Wanted<'_>| first.is_checked == next.is_checked);
            if *length > origin.short() || !is_alike {
                continue;
            }
            total += length;
            parts += Origin::parts(&next).count();
            if !numbers.is_empty() && (total > origin.memory / 4 || parts > CHUNKS) {
                break;
            }
            numbers.push(number);
            wanted.push(next);
            bytes.push(vec![0; *length as usize]);
        }
        origin.read(&wanted, &mut bytes)?;
        read.extend(numbers.into_iter().zip(bytes.into_iter().map(Bytes::from)));
        Ok(())
    }

    fn number(&self, item: &WriteItem) -> Option<usize> {
        let key = |item: &WriteItem| match &item.what {
            WriteWhat::Chunk(chunk, _) => (item.entry, chunk.number),
            WriteWhat::Value => (item.entry, 0),
        };
        let first = self.items.partition_point(|other| key(other) < key(item));
        let alike = self.items[first..].iter().take_while(|other| key(other) == key(item));
        alike.zip(first..).find_map(|(other, number)| (other == item).then_some(number))
    }
}
