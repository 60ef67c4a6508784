//! What an audit has found.

use std::sync::Arc;
use std::time::Duration;

use dcp_storage::{Locator, StorageError};
use dcp_types::{Fqn, Region};

use crate::Error;

/// What an audit has found out about a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// Where the checkpoint is.
    pub location: String,
    /// The name of its format; `None` if its index could not be read.
    pub format: Option<&'static str>,
    /// How many tensors the index describes soundly.
    pub tensors: u64,
    /// How many values.
    pub values: u64,
    /// How many chunks these tensors have.
    pub chunks: u64,
    /// In how many files chunks and values lie.
    pub files: u64,
    /// Bytes of chunks and values, as they are stored, so far as they were found.
    pub bytes: u64,
    /// Bytes that were read: items, and headers and tables of checksums, but not the index.
    pub read: u64,
    /// Of `bytes`, those that were compared with a checksum, and were right, at least.
    pub checked: u64,
    /// All that is wrong, but see [`unlisted`](Self::unlisted).
    pub defects: Vec<Defect>,
    /// Chunks that are not in `defects` though they may be bad: of a tensor that has [`MAX_DEFECTS`](Self::MAX_DEFECTS) bad
    /// ones, the others are not told, or not even looked at.
    pub unlisted: u64,
    /// Values in which there are foreign objects.
    pub foreign: Vec<Foreign>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Something that is wrong with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Defect {
    /// The tensor or value, where it is one.
    pub fqn: Option<Fqn>,
    /// The chunk of the tensor, where it is one.
    pub region: Option<Region>,
    /// The file, where it is known.
    pub file: Option<String>,
    /// Where in the file, in bytes: the first bad block, or where the chunk or value starts.
    pub offset: Option<u64>,
    /// A short, stable word for what is wrong: that of [`StorageError::kind`], or `overlap`.
    pub kind: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// Whether the checkpoint is at fault. Otherwise it could not be looked at, because of I/O.
    pub is_fault: bool,
}

/// A value that holds something only its own language can decode, by running code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The value.
    pub fqn: Fqn,
    /// What decoding it would look up and run, as `torch.optim.AdamW`.
    pub globals: Vec<Arc<str>>,
}

/// What an audit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong, so far as there were checksums.
    Sound,
    /// Something is wrong with the checkpoint.
    Bad,
    /// Nothing wrong was found, but because of I/O errors not everything could be looked at.
    Unknown,
}

impl Audit {
    /// So many bad chunks of one tensor are listed.
    pub const MAX_DEFECTS: usize = 100;

    pub(super) fn new(location: String) -> Self {
        Self {
            location,
            format: None,
            tensors: 0,
            values: 0,
            chunks: 0,
            files: 0,
            bytes: 0,
            read: 0,
            checked: 0,
            defects: Vec::new(),
            unlisted: 0,
            foreign: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.defects.iter().any(|defect| defect.is_fault) {
            Verdict::Bad
        } else if self.defects.is_empty() && self.unlisted == 0 {
            Verdict::Sound
        } else {
            Verdict::Unknown
        }
    }

    /// Bytes of chunks and values that were not compared with a checksum: most often since there is none.
    #[must_use]
    pub fn unchecked(&self) -> u64 {
        self.bytes.saturating_sub(self.checked)
    }

    /// Which share of the bytes was checked, from 0 to 1; 1 if there are none.
    #[must_use]
    pub fn share_checked(&self) -> f64 {
        if self.bytes == 0 { 1.0 } else { self.checked as f64 / self.bytes as f64 }
    }
}

impl Defect {
    /// What an error says, if it is an item's affair.
    pub(super) fn new(error: &Error) -> Option<Self> {
        super::of_item(error).map(Self::of)
    }

    pub(super) fn of(error: &StorageError) -> Self {
        Self {
            fqn: error.fqn().cloned(),
            region: None,
            file: error.path().map(Into::into),
            offset: error.offset(),
            kind: error.kind(),
            message: error.to_string(),
            is_fault: error.is_bad_checkpoint(),
        }
    }

    /// The same of an item that should lie here.
    pub(super) fn at(mut self, locator: Option<&Locator>) -> Self {
        let (file, offset) = match locator {
            Some(Locator::Extent(extent)) => (&extent.file, extent.offset),
            Some(Locator::Stream(stream)) => (&stream.file, stream.offset),
            _ => return self,
        };
        if self.file.is_none() {
            (self.file, self.offset) = (Some(file.to_string()), Some(offset));
        }
        self
    }
}
