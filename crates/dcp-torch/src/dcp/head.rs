//! The beginning of an archive that can be read only forward: sizes are in the directory at its end, which is not known yet. So
//! the pickle ends where it says so itself, other records where a data descriptor follows them, and the storage is as long
//! as the pickle says.

use crate::archive::{ByteOrder, Lack, LocalHeader, malformed, unreadable};
use crate::object::{self, TensorRef};

/// What an archive says before its tensor's bytes.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) tensor: TensorRef,
    pub(super) order: ByteOrder,
    /// Where the tensor's storage starts.
    pub(super) payload: u64,
}

const DESCRIPTOR: &[u8] = b"PK\x07\x08";

impl Head {
    /// Reads the beginning of an archive; `None` if more of it is needed.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Lack> {
        let mut at = 0;
        let mut tensor = None;
        let mut order = ByteOrder::Little;
        loop {
            let Some(record) = bytes[at..].get(..LocalHeader::LENGTH) else { return Ok(None) };
            let Some(header) = LocalHeader::read(record) else {
                return Err(malformed(at as u64, "an entry of a zip archive is expected"));
            };
            let named = at + LocalHeader::LENGTH;
            let after_name = named + usize::from(header.name);
            let start = after_name + usize::from(header.extra);
            let (Some(name), Some(content)) = (bytes.get(named..after_name), bytes.get(start..)) else {
                return Ok(None);
            };
            let name = std::str::from_utf8(name).map_err(|_| malformed(at as u64, "a name is not UTF-8"))?;
            let record = name.split_once('/').map_or(name, |(_, record)| record);
            if let Some(key) = record.strip_prefix("data/") {
                return match tensor {
                    Some(tensor) => Self::at(tensor, order, start, key).map(Some),
                    None => Err(unreadable(at as u64, "a storage before the pickle, in a stream")),
                };
            }
            let length = if record == "data.pkl" {
                // A pickle that does not end yet cannot be told from a bad one.
                let Ok((found, length)) = object::tensor(content) else { return Ok(None) };
                tensor = Some(found);
                length
            } else {
                match content.windows(DESCRIPTOR.len()).position(|window| window == DESCRIPTOR) {
                    Some(length) => length,
                    None => return Ok(None),
                }
            };
            if record == "byteorder" {
                order = match &content[..length] {
                    b"little" => ByteOrder::Little,
                    b"big" => ByteOrder::Big,
                    _ => return Err(malformed(start as u64, "this is no byte order")),
                };
            }
            let after = start + length;
            // A descriptor has sizes of 4 bytes, or of 8.
            let next = [16, 24].into_iter().find(|descriptor| {
                bytes.get(after + descriptor..).and_then(<[u8]>::first_chunk)
                    == Some(&LocalHeader::SIGNATURE.to_le_bytes())
            });
            match next {
                Some(descriptor) => at = after + descriptor,
                None => return Ok(None),
            }
        }
    }

    fn at(tensor: TensorRef, order: ByteOrder, payload: usize, key: &str) -> Result<Self, Lack> {
        if key != &*tensor.storage.key {
            return Err(malformed(
                payload as u64,
                format!("storage {key:?} comes first, not {:?}", tensor.storage.key),
            ));
        }
        Ok(Self { tensor, order, payload: payload as u64 })
    }
}
