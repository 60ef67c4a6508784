//! Every value of a checkpoint, a few at a time.

use std::collections::VecDeque;

use dcp::crates::dcp_storage::Locator;
use dcp::crates::dcp_types::ReadItem;
use dcp::{Checkpoint, Error, Value};

/// How many values are located at a time.
const BATCH: usize = 1 << 10;
/// How many bytes of them are read at a time, but for a single one that is larger.
const BYTES: u64 = 4 << 20;

/// Reads every value of a checkpoint, in order.
pub(super) struct Values<'c> {
    checkpoint: &'c Checkpoint,
    entries: Box<dyn Iterator<Item = usize> + 'c>,
    /// Entries, and how many bytes they have.
    located: VecDeque<(usize, u64)>,
    ready: VecDeque<(usize, Result<Value, Error>)>,
}

impl<'c> Values<'c> {
    pub(super) fn new(checkpoint: &'c Checkpoint) -> Self {
        let entries = checkpoint.metadata().entries().enumerate();
        let entries = entries.filter(|(_, (_, entry))| entry.as_tensor().is_none()).map(|(number, _)| number);
        Self { checkpoint, entries: Box::new(entries), located: VecDeque::new(), ready: VecDeque::new() }
    }

    /// The next value, or why there is none.
    pub(super) fn next(&mut self) -> Option<Result<Value, Error>> {
        if self.ready.is_empty() {
            self.locate();
            let mut bytes = 0u64;
            let mut entries = Vec::new();
            while let Some(&(entry, length)) = self.located.front() {
                bytes = bytes.saturating_add(length);
                if bytes > BYTES && !entries.is_empty() {
                    break;
                }
                entries.push(entry);
                self.located.pop_front();
            }
            let values = self.checkpoint.values_each(&entries);
            self.ready = entries.into_iter().zip(values).collect();
        }
        let (entry, value) = self.ready.pop_front()?;
        let harm = |value: &Value| self.checkpoint.harm_in_value(entry, value);
        Some(match value.as_ref().ok().and_then(harm) {
            Some(harm) => Err(harm),
            None => value,
        })
    }

    fn locate(&mut self) {
        if !self.located.is_empty() {
            return;
        }
        let entries: Vec<usize> = self.entries.by_ref().take(BATCH).collect();
        let locators = self.checkpoint.locate_each(entries.iter().copied().map(ReadItem::value).collect());
        let length = |locator: &Result<Locator, Error>| match locator {
            Ok(Locator::Extent(extent)) => extent.length,
            // Its length is not known, or reading it will say what is wrong: it is read by itself.
            _ => u64::MAX,
        };
        self.located = entries.into_iter().zip(locators.iter().map(length)).collect();
    }
}
