//! An archive of which some bytes have been read.

use std::collections::BTreeMap;

use bytes::Bytes;
use dcp_storage::{StorageError, StorePath};

/// The bytes of an archive, as far as they are known. Whoever needs others says so with a [`Lack`], and is called again.
#[derive(Debug)]
pub(crate) struct Known {
    length: u64,
    parts: BTreeMap<u64, Bytes>,
}

/// Why something cannot be told of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// These bytes must be read first; they are inside the archive.
    Bytes {
        offset: u64,
        length: u64,
    },
    Fault(Fault),
}

/// What is wrong with an archive, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: u64,
    pub(crate) what: Wrong,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It contradicts the format, or itself.
    Malformed(String),
    /// It may be right, but is not read here.
    Unreadable(String),
}

impl Known {
    /// Nothing is known of an archive of so many bytes.
    pub(crate) fn new(length: u64) -> Self {
        Self { length, parts: BTreeMap::new() }
    }

    /// All of it is known.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, parts: BTreeMap::from([(0, bytes)]) }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The same, known to end earlier.
    pub(crate) fn up_to(&self, length: u64) -> Self {
        Self { length: self.length.min(length), parts: self.parts.clone() }
    }

    pub(crate) fn learn(&mut self, offset: u64, bytes: Bytes) {
        self.parts.insert(offset, bytes);
    }

    /// Some bytes. Those beyond the end are a fault.
    pub(crate) fn get(&self, offset: u64, length: u64) -> Result<Bytes, Lack> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(malformed(offset, format!("{length} bytes are announced, of {}", self.length)));
        }
        let holding = self.parts.range(..=offset).rev().find_map(|(start, part)| {
            let (from, to) = ((offset - start) as usize, (offset - start + length) as usize);
            (to <= part.len()).then(|| part.slice(from..to))
        });
        holding.ok_or(Lack::Bytes { offset, length })
    }
}

pub(crate) fn malformed(offset: u64, reason: impl Into<String>) -> Lack {
    Lack::Fault(Fault { offset, what: Wrong::Malformed(reason.into()) })
}

pub(crate) fn unreadable(offset: u64, what: impl Into<String>) -> Lack {
    Lack::Fault(Fault { offset, what: Wrong::Unreadable(what.into()) })
}

impl Lack {
    /// What is wrong, where all bytes are known that could be.
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Fault(fault) => fault,
            Self::Bytes { offset, .. } => Fault { offset, what: Wrong::Malformed("it was cut off".into()) },
        }
    }
}

impl Fault {
    /// What is wrong, in words.
    pub(crate) fn reason(&self) -> String {
        match &self.what {
            Wrong::Malformed(reason) => reason.clone(),
            Wrong::Unreadable(what) => format!("{what} cannot be read here"),
        }
    }

    /// The same, saying of what it is wrong.
    pub(crate) fn of(self, name: &str) -> Self {
        let what = match self.what {
            Wrong::Malformed(reason) => Wrong::Malformed(format!("{name}: {reason}")),
            Wrong::Unreadable(what) => Wrong::Unreadable(format!("{what} (in {name})")),
        };
        Self { what, ..self }
    }

    /// The error that it is in an archive that starts at byte `base` of a file.
    pub(crate) fn into_error(self, path: &StorePath, base: u64) -> StorageError {
        let (path, offset) = (path.clone(), base.saturating_add(self.offset));
        match self.what {
            Wrong::Malformed(reason) => StorageError::Corrupt { path, offset, reason },
            Wrong::Unreadable(what) => StorageError::Unreadable { path, offset, what },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_asked_for() {
        let mut known = Known::new(100);
        assert_eq!(known.get(10, 5), Err(Lack::Bytes { offset: 10, length: 5 }));
        known.learn(8, Bytes::from_static(b"0123456789"));
        known.learn(9, Bytes::from_static(b"x"));
        assert_eq!(known.get(10, 5).expect("known"), b"23456".as_slice());
        assert_eq!(known.get(10, 9), Err(Lack::Bytes { offset: 10, length: 9 }));
        assert_eq!(known.get(100, 0), Err(Lack::Bytes { offset: 100, length: 0 }));
        for (offset, length) in [(96, 5), (101, 0), (u64::MAX, 2)] {
            assert!(matches!(known.get(offset, length), Err(Lack::Fault(_))));
        }
    }
}
