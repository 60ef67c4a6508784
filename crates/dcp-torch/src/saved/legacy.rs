//! Files in the form that `torch.save` had before PyTorch 1.6, and still has without `_use_new_zipfile_serialization`: five pickles (a number,
//! a version, the machine, the state, the keys of storages), then storage after storage, each behind the number of its elements
//! (`torch/serialization.py`, `_legacy_save`).

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use dcp_types::{DictKey, Digest, Value};

use crate::archive::{ByteOrder, Known, Lack, MAX_PICKLE, Storages, StoredBytes, malformed, no_storage, unreadable};
use crate::object::{self, StorageSize};
use crate::pickle::{self, Fault, PickleError};

/// What the file says before its storages.
#[derive(Debug)]
pub(super) struct Legacy {
    /// The pickle of the state, and where it starts.
    pub(super) pickle: Bytes,
    pub(super) start: u64,
    pub(super) storages: LegacyStorages,
    /// Of all pickles.
    pub(super) fingerprint: Digest,
}

/// Where the storages lie, by key.
#[derive(Debug)]
pub(super) struct LegacyStorages(HashMap<Box<str>, Place>);

#[derive(Debug)]
struct Place {
    /// Of its bytes; the number of elements comes before them.
    offset: u64,
    length: u64,
    numel: u64,
}

/// The number with which such files begin (`MAGIC_NUMBER`), as a pickle of it ends in any protocol.
const MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// The first pickle is no longer than this.
pub(super) const LONGEST_MAGIC: u64 = 32;
const VERSION: i64 = 1001;
/// So much is read of a file to begin with.
const EDGE: u64 = 64 << 10;
const NUMEL: u64 = 8;

/// Whether a file that starts so has this form.
pub(super) fn is_legacy(start: &[u8]) -> bool {
    let start = &start[..start.len().min(LONGEST_MAGIC as usize)];
    start.first() == Some(&0x80) && start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

impl Legacy {
    /// Reads the pickles, and works out where the storages lie.
    pub(super) fn read(known: &Known) -> Result<Self, Lack> {
        let (bytes, [_, version, machine, state, keys]) = pickles(known)?;
        let plain = |range: &Range<usize>| {
            object::decode_plain(&bytes[range.clone()]).map_err(|fault| fault.at(range.start as u64))
        };
        let version_at = version.start as u64;
        match plain(&version)? {
            Value::Int(VERSION) => {}
            other => return Err(unreadable(version_at, format!("version {other:?} of the form before PyTorch 1.6"))),
        }
        // PyTorch does not look at it: its storages are little-endian, but for a few types on a few machines.
        if says(&plain(&machine)?, "little_endian") == Some(&Value::Bool(false)) {
            return Err(unreadable(machine.start as u64, "a file of a big-endian machine from before PyTorch 1.6"));
        }
        let (pickle, start) = (bytes.slice(state.clone()), state.start as u64);
        let sizes = object::storages(&pickle).map_err(|fault| fault.at(start))?;
        let listed = plain(&keys)?;
        let storages = LegacyStorages::new(&listed, keys.start as u64, keys.end as u64, &sizes, known.length())?;
        Ok(Self { pickle, start, storages, fingerprint: Digest::of(&bytes[..keys.end]) })
    }
}

/// The bytes with the five pickles, and where each lies.
fn pickles(known: &Known) -> Result<(Bytes, [Range<usize>; 5]), Lack> {
    let mut length = EDGE.min(known.length());
    loop {
        let bytes = known.get(0, length)?;
        let (start, fault) = match split(&bytes) {
            Ok(ranges) => return Ok((bytes, ranges)),
            Err(fault) => fault,
        };
        let at = start as u64 + fault.position;
        let Fault::Cut { needed, .. } = *fault.fault else { return Err(malformed(at, fault.fault.to_string())) };
        let end = at.saturating_add(needed);
        if end > known.length() || length == known.length() {
            return Err(malformed(at, "a pickle that goes on beyond the end of the file"));
        }
        if end.max(length) > MAX_PICKLE {
            return Err(unreadable(start as u64, format!("a pickle of more than {MAX_PICKLE} bytes")));
        }
        length = end.max(2 * length).min(known.length());
    }
}

/// Where the pickles lie; otherwise where the one starts at which something is wrong.
fn split(bytes: &[u8]) -> Result<[Range<usize>; 5], (usize, PickleError)> {
    let mut ranges = [0..0, 0..0, 0..0, 0..0, 0..0];
    let mut start = 0;
    for range in &mut ranges {
        let length = pickle::length(&bytes[start..]).map_err(|fault| (start, fault))?;
        *range = start..start + length;
        start = range.end;
    }
    Ok(ranges)
}

fn says<'v>(machine: &'v Value, what: &str) -> Option<&'v Value> {
    let Value::Dict(items) = machine else { return None };
    items.iter().find(|(key, _)| *key == DictKey::from(what)).map(|(_, value)| value)
}

impl LegacyStorages {
    /// Of the list of keys `listed`, which is at byte `at` of the file; they begin at byte `start`.
    fn new(
        listed: &Value,
        at: u64,
        start: u64,
        sizes: &HashMap<Box<str>, Option<StorageSize>>,
        size: u64,
    ) -> Result<Self, Lack> {
        let Value::List(keys) = listed else { return Err(malformed(at, "a list of the keys of storages is expected")) };
        let mut places = HashMap::new();
        let mut end = start;
        for key in keys {
            let Value::Str(key) = key else { return Err(malformed(at, "the key of a storage is no text")) };
            let Some(stored) = sizes.get(&**key) else {
                return Err(malformed(at, format!("storage {key:?} belongs to nothing")));
            };
            // Where it ends, and so where all others lie, only its class tells.
            let Some(StorageSize { length, numel }) = *stored else {
                return Err(unreadable(at, format!("storage {key:?} of a class that is not known")));
            };
            let offset = end.saturating_add(NUMEL);
            end = offset.saturating_add(length);
            if end > size {
                return Err(malformed(offset, format!("storage {key:?} of {length} bytes, of {size} in the file")));
            }
            if places.insert(Box::from(&**key), Place { offset, length, numel }).is_some() {
                return Err(malformed(at, format!("storage {key:?} is there twice")));
            }
        }
        Ok(Self(places))
    }

    fn place(&self, key: &str) -> Result<&Place, Lack> {
        self.0.get(key).ok_or_else(|| no_storage(key))
    }
}

impl Storages for LegacyStorages {
    fn byte_order(&self) -> ByteOrder {
        ByteOrder::Little
    }

    /// Compares the number of elements that stands before them.
    fn storage(&self, known: &Known, key: &str) -> Result<StoredBytes, Lack> {
        let Place { offset, length, numel } = *self.place(key)?;
        let at = offset - NUMEL;
        let found = known.get(at, NUMEL)?;
        let found = u64::from_le_bytes(found.first_chunk().copied().unwrap_or_default());
        if found != numel {
            return Err(malformed(at, format!("storage {key:?} should have {numel} elements, but has {found}")));
        }
        Ok(StoredBytes { offset, length, crc: None })
    }

    fn storage_length(&self, key: &str) -> Result<u64, Lack> {
        Ok(self.place(key)?.length)
    }

    fn storage_bytes(&self, known: &Known, key: &str) -> Result<Bytes, Lack> {
        let StoredBytes { offset, length, .. } = self.storage(known, key)?;
        known.get(offset, length)
    }
}
