//! Every value of a checkpoint, a few at a time.

use std::collections::VecDeque;

use dcp::crates::dcp_storage::Locator;
use dcp::crates::dcp_types::{ReadItem, ReadWhat};
use dcp::{Checkpoint, Value};

use crate::failure::Failure;

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
    ready: VecDeque<Value>,
}

impl<'c> Values<'c> {
    pub(super) fn new(checkpoint: &'c Checkpoint) -> Self {
        let entries = checkpoint.metadata().entries().enumerate();
        let entries = entries.filter(|(_, (_, entry))| entry.as_tensor().is_none()).map(|(number, _)| number);
        Self { checkpoint, entries: Box::new(entries), located: VecDeque::new(), ready: VecDeque::new() }
    }

    /// The next value.
    pub(super) fn next(&mut self) -> Result<Option<Value>, Failure> {
        if self.ready.is_empty() {
            self.locate()?;
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
            if !entries.is_empty() {
                self.ready = self.checkpoint.values(&entries)?.into();
            }
        }
        Ok(self.ready.pop_front())
    }

    fn locate(&mut self) -> Result<(), Failure> {
        if !self.located.is_empty() {
            return Ok(());
        }
        let entries: Vec<usize> = self.entries.by_ref().take(BATCH).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let items = entries.iter().map(|&entry| ReadItem { entry, what: ReadWhat::Value }).collect();
        let length = |locator: Locator| match locator {
            Locator::Extent(extent) => extent.length,
            // Its length is not known: it is read by itself.
            _ => u64::MAX,
        };
        self.located = entries.iter().copied().zip(self.checkpoint.locate(items)?.into_iter().map(length)).collect();
        Ok(())
    }
}
