//! Layout rules: which item lies where in the files of a rank.
//!
//! Rule 1. Of a rank's items, chunks come first, in the order of the entries. Each goes to the file whose chunks so far end first (of several,
//! the one with the lowest number) and starts at the next multiple of the alignment. Values follow the chunks of file 0, in the order of the
//! entries, without gaps; their lengths are in the index. Then each file has its footer. A file without items is not written.
//!
//! Rule 2 is for items that went through transforms: which of them a file has, in which order, is as rule 1 says, but they follow each other without
//! gaps, and the footer says how long they are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dcp_types::{WriteItem, WriteWhat};
use serde::{Deserialize, Serialize};

/// The numbers that the rule depends on. They are stored in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayoutRule {
    /// How many files a rank writes at most.
    pub(crate) files_per_rank: u32,
    /// What the offsets of chunks are multiples of, in bytes.
    pub(crate) align: u64,
    /// The size of a checksum block, in bytes.
    pub(crate) block: u64,
}

/// What one file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlannedFile {
    pub(crate) number: u32,
    /// Chunks and where they start, ascending.
    pub(crate) chunks: Vec<Placed>,
    /// Where the chunks end.
    pub(crate) chunks_end: u64,
    /// Values, whose lengths are known only after writing.
    pub(crate) values: Vec<WriteItem>,
}

/// A chunk in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) item: WriteItem,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl LayoutRule {
    /// The files of a rank that writes these items; `None` if a file would be larger than can be counted.
    pub(crate) fn files_of(&self, items: Vec<WriteItem>) -> Option<Vec<PlannedFile>> {
        // No more files than items, however many the index claims.
        let count = (self.files_per_rank as usize).min(items.len());
        let mut files: Vec<PlannedFile> =
            (0..).take(count).map(|number| PlannedFile { number, ..PlannedFile::default() }).collect();
        let mut ends: BinaryHeap<_> = files.iter().map(|file| Reverse((0, file.number))).collect();
        for item in items {
            match item.what {
                WriteWhat::Value => files.first_mut()?.values.push(item),
                WriteWhat::Chunk(_, length) => {
                    let Reverse((_, number)) = ends.pop()?;
                    let file = files.get_mut(number as usize)?;
                    let offset = file.chunks_end.checked_next_multiple_of(self.align)?;
                    file.chunks_end = offset.checked_add(length)?;
                    file.chunks.push(Placed { item, offset, length });
                    ends.push(Reverse((file.chunks_end, number)));
                }
            }
        }
        files.retain(|file| !file.chunks.is_empty() || !file.values.is_empty());
        Some(files)
    }
}

impl PlannedFile {
    /// Its items, in order.
    pub(crate) fn items(&self) -> impl Iterator<Item = &WriteItem> {
        self.chunks.iter().map(|placed| &placed.item).chain(&self.values)
    }

    /// How many those are.
    pub(crate) fn item_count(&self) -> usize {
        self.chunks.len() + self.values.len()
    }

    /// The lengths of all items, in order, with the lengths of values as given.
    pub(crate) fn lengths<'a>(&'a self, values: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
        self.chunks.iter().map(|placed| placed.length).chain(values.iter().copied())
    }

    /// Where the footer starts; `None` if that is past what can be counted.
    pub(crate) fn footer_offset(&self, values: &[u64]) -> Option<u64> {
        values.iter().try_fold(self.chunks_end, |end, length| end.checked_add(*length))
    }
}
