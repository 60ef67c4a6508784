//! A `torch.save` archive: a zip file of a pickle and the storages that it speaks of (`caffe2/serialize/inline_container.cc`).

mod fields;
mod known;
mod local;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod write;
mod zip;

pub(crate) use known::{Fault, Known, Lack, Wrong, malformed, unreadable};
pub(crate) use local::LocalHeader;
pub(crate) use write::ArchiveWriter;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{BlockChecks, Checksum, Extent, Layout, StorePath};
use dcp_types::Digest;
use zip::{Directory, Entry};

/// The table of contents of an archive.
#[derive(Debug)]
pub(crate) struct Archive {
    directory: Directory,
    /// What the names of all entries begin with: `archive/`, or the name of the file.
    prefix: String,
    byte_order: ByteOrder,
}

/// The storages that a pickle of `torch.save` speaks of, by key.
pub(crate) trait Storages: fmt::Debug + Send + Sync {
    fn byte_order(&self) -> ByteOrder;

    /// Where a storage lies; makes sure that it is there.
    fn storage(&self, known: &Known, key: &str) -> Result<StoredBytes, Lack>;

    /// How many bytes a storage has. Can be told as soon as the file is open.
    fn storage_length(&self, key: &str) -> Result<u64, Lack>;

    /// The bytes of a storage, compared with their checksum if there is one.
    fn storage_bytes(&self, known: &Known, key: &str) -> Result<Bytes, Lack>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// Where a storage lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredBytes {
    /// From the start of the archive.
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Its CRC-32; `None` if the archive was written without.
    pub(crate) crc: Option<u32>,
}

impl StoredBytes {
    /// The storage in an archive that starts at byte `base` of a file.
    pub(crate) fn extent(&self, file: StorePath, base: u64, layout: Layout) -> Extent {
        let checks = self.crc.filter(|_| self.length > 0).map(|crc| BlockChecks {
            kind: Checksum::Crc32,
            block: self.length,
            table: Arc::new([crc]),
            entries: 0..1,
        });
        Extent { file, offset: base + self.offset, length: self.length, layout, checks }
    }
}

/// The versions of the archive format that are read, as PyTorch's `kMinSupportedFileFormatVersion` and
/// `kMaxSupportedFileFormatVersion` have it.
const VERSIONS: std::ops::RangeInclusive<u64> = 1..=10;
/// The largest table of contents that is read: about a million entries.
const MAX_DIRECTORY: u64 = 64 << 20;
/// The largest of the records that are read whole, but for the pickle.
const MAX_RECORD: u64 = 1 << 10;
/// The largest pickle of a state or object that is read.
pub(crate) const MAX_PICKLE: u64 = 1 << 30;

impl Archive {
    /// Reads the table of contents and the records that say how to read the rest.
    pub(crate) fn read(known: &Known) -> Result<Self, Lack> {
        Self::read_small(known, MAX_DIRECTORY)
    }

    /// The same, if the table of contents has at most so many bytes.
    pub(crate) fn read_small(known: &Known, longest: u64) -> Result<Self, Lack> {
        let directory = Directory::read(known, longest)?;
        let Some(pickle) = directory.entries().iter().find(|entry| is_pickle(&entry.name)) else {
            return Err(malformed(0, "it has no data.pkl: no archive of torch.save"));
        };
        let prefix = pickle.name[..=pickle.name.find('/').unwrap_or_default()].to_owned();
        if let Some(foreign) = directory.entries().iter().find(|entry| !entry.name.starts_with(&prefix)) {
            return Err(malformed(foreign.header, format!("{} is not below {prefix}", foreign.name)));
        }
        let mut archive = Self { directory, prefix, byte_order: ByteOrder::Little };
        if archive.directory.find(&archive.name("constants.pkl")).is_some() {
            return Err(unreadable(0, "TorchScript: a program, not a state"));
        }
        archive.check_version(known)?;
        archive.byte_order = archive.read_byte_order(known)?;
        Ok(archive)
    }

    /// Stands for this archive: its table of contents, with checksums where there are any, and its pickle.
    pub(crate) fn fingerprint(&self, pickle: &[u8]) -> Digest {
        Digest::of(format!("{:?} {:?}", self.directory.entries(), Digest::of(pickle)).as_bytes())
    }

    /// The pickle, if it is not too long, and where it starts.
    pub(crate) fn pickle(&self, known: &Known, longest: u64) -> Result<(Bytes, u64), Lack> {
        let Some(entry) = self.directory.find(&self.name("data.pkl")) else {
            return Err(malformed(0, "it has no data.pkl"));
        };
        if entry.size > longest {
            return Err(unreadable(entry.header, format!("a pickle of {} bytes", entry.size)));
        }
        let start = self.directory.content_of(known, entry)?;
        Ok((self.directory.content(known, entry)?, start))
    }

    /// Compares the checksum of every record.
    pub(crate) fn check_contents(&self, known: &Known) -> Result<(), Lack> {
        self.directory.entries().iter().try_for_each(|entry| self.directory.content(known, entry).map(|_| ()))
    }

    /// How many bytes the records have that have a checksum.
    pub(crate) fn checked_bytes(&self) -> u64 {
        self.directory.entries().iter().filter(|entry| entry.crc != 0).map(|entry| entry.size).sum()
    }

    /// The record of the storage with a key.
    fn entry(&self, key: &str) -> Result<&Entry, Lack> {
        let entry = self.directory.find(&self.name(&format!("data/{key}")));
        entry.ok_or_else(|| no_storage(key))
    }

    fn name(&self, record: &str) -> String {
        format!("{}{record}", self.prefix)
    }

    fn check_version(&self, known: &Known) -> Result<(), Lack> {
        let Some((version, at)) = self.record(known, "version")? else {
            return Err(malformed(0, "it has no version record"));
        };
        match version.trim().parse() {
            Ok(version) if VERSIONS.contains(&version) => Ok(()),
            _ => Err(unreadable(at, format!("version {version:?} of the archive format"))),
        }
    }

    /// Before there was a record of it, in PyTorch 2.0, it was little.
    fn read_byte_order(&self, known: &Known) -> Result<ByteOrder, Lack> {
        match self.record(known, "byteorder")? {
            None => Ok(ByteOrder::Little),
            Some((order, _)) if order == "little" => Ok(ByteOrder::Little),
            Some((order, _)) if order == "big" => Ok(ByteOrder::Big),
            Some((order, at)) => Err(malformed(at, format!("{order:?} is no byte order"))),
        }
    }

    /// A small record of text, and where its header is.
    fn record(&self, known: &Known, name: &str) -> Result<Option<(String, u64)>, Lack> {
        let Some(entry) = self.directory.find(&self.name(name)) else { return Ok(None) };
        if entry.size > MAX_RECORD {
            return Err(malformed(entry.header, format!("{name} has {} bytes", entry.size)));
        }
        let content = self.directory.content(known, entry)?;
        Ok(Some((String::from_utf8_lossy(&content).into_owned(), entry.header)))
    }
}

/// No storages.
#[derive(Debug)]
pub(crate) struct NoStorages;

impl Storages for NoStorages {
    fn byte_order(&self) -> ByteOrder {
        ByteOrder::Little
    }

    fn storage(&self, _: &Known, key: &str) -> Result<StoredBytes, Lack> {
        Err(no_storage(key))
    }

    fn storage_length(&self, key: &str) -> Result<u64, Lack> {
        Err(no_storage(key))
    }

    fn storage_bytes(&self, _: &Known, key: &str) -> Result<Bytes, Lack> {
        Err(no_storage(key))
    }
}

impl Storages for Archive {
    fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    fn storage(&self, known: &Known, key: &str) -> Result<StoredBytes, Lack> {
        let entry = self.entry(key)?;
        let offset = self.directory.content_of(known, entry)?;
        Ok(StoredBytes { offset, length: entry.size, crc: (entry.crc != 0).then_some(entry.crc) })
    }

    fn storage_length(&self, key: &str) -> Result<u64, Lack> {
        Ok(self.entry(key)?.size)
    }

    fn storage_bytes(&self, known: &Known, key: &str) -> Result<Bytes, Lack> {
        self.directory.content(known, self.entry(key)?)
    }
}

pub(crate) fn no_storage(key: &str) -> Lack {
    malformed(0, format!("it has no storage {key:?}"))
}

/// Whether a name is `PREFIX/data.pkl`.
fn is_pickle(name: &str) -> bool {
    name.split_once('/').is_some_and(|(prefix, record)| !prefix.is_empty() && record == "data.pkl")
}
