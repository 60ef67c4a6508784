//! Items that PyTorch has written through a compressing transform (`stream.zstd/1`, `_extension.py`): the whole archive is one
//! zstd stream. Nothing says how long it will be, and where in it the tensor lies shows only on the way.

use bytes::Bytes;
use dcp_storage::{Decoded, Decoder, Layout, StorageError, StorePath, Stream, StreamCodec};
use dcp_types::{DType, ReadItem};
use zstd::stream::raw::{DParameter, Decoder as RawZstd, InBuffer, Operation, OutBuffer};

use super::head::Head;
use crate::archive::{Archive, Fault, Known, Lack, MAX_PICKLE, Storages, Wrong};

/// The largest window that a stream may ask for, as a power of two: 32 MiB, more than any level below 20 does.
const WINDOW_LOG: u32 = 25;
/// The most that may come before the tensor's bytes, and after them.
const MAX_EDGE: usize = 1 << 20;
/// How much is decoded at a time while looking for where the tensor starts.
const STEP: usize = 16 << 10;

/// The codec of one item.
#[derive(Debug)]
pub(super) struct ZstdItem {
    /// The dtype and extents of the chunk; `None` for a value, which is the whole archive.
    pub(super) chunk: Option<(DType, Vec<u64>)>,
}

impl StreamCodec for ZstdItem {
    fn decoder(&self, stream: &Stream, _: &ReadItem) -> Box<dyn Decoder> {
        let zstd =
            Zstd { file: stream.file.clone(), offset: stream.offset, raw: raw(), consumed: 0, is_between_frames: true };
        match &self.chunk {
            None => Box::new(zstd),
            Some((dtype, sizes)) => Box::new(Tensor {
                zstd,
                dtype: *dtype,
                sizes: sizes.clone(),
                head: Vec::new(),
                looked: 0,
                piece: vec![0; STEP].into(),
                found: None,
                given: 0,
                left: 0,
                checksum: crc32fast::Hasher::new(),
                tail: Vec::new(),
            }),
        }
    }
}

fn raw() -> std::io::Result<RawZstd<'static>> {
    let mut raw = RawZstd::new()?;
    raw.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
    Ok(raw)
}

/// Decompresses.
struct Zstd {
    file: StorePath,
    /// Where the stream starts in the file.
    offset: u64,
    raw: std::io::Result<RawZstd<'static>>,
    consumed: u64,
    is_between_frames: bool,
}

impl Zstd {
    fn corrupt(&self, reason: impl Into<String>) -> StorageError {
        let offset = self.offset.saturating_add(self.consumed);
        StorageError::Corrupt { path: self.file.clone(), offset, reason: reason.into() }
    }
}

impl Decoder for Zstd {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decoded, StorageError> {
        if input.is_empty() && self.is_between_frames {
            return Ok(Decoded { consumed: 0, produced: 0 });
        }
        let (mut input, mut output) = (InBuffer::around(input), OutBuffer::around(output));
        let outcome = match &mut self.raw {
            Ok(raw) => raw.run(&mut input, &mut output).map_err(|fault| fault.to_string()),
            Err(fault) => Err(fault.to_string()),
        };
        let hint = outcome.map_err(|fault| self.corrupt(format!("the zstd stream does not decode: {fault}")))?;
        self.is_between_frames = hint == 0;
        let (consumed, produced) = (input.pos(), output.pos());
        self.consumed += consumed as u64;
        Ok(Decoded { consumed, produced })
    }

    fn finish(&mut self) -> Result<bool, StorageError> {
        if self.is_between_frames && self.consumed > 0 {
            Ok(false)
        } else {
            Err(self.corrupt("the zstd stream was cut off"))
        }
    }
}

/// Decompresses an archive and lets through the bytes of its tensor.
struct Tensor {
    zstd: Zstd,
    dtype: DType,
    sizes: Vec<u64>,
    /// What comes before the tensor's bytes, and maybe the first of them.
    head: Vec<u8>,
    /// How much of the head has been looked at.
    looked: usize,
    /// What a step decodes to.
    piece: Box<[u8]>,
    found: Option<(Head, Layout)>,
    /// How many of the tensor's bytes were taken from the head.
    given: usize,
    /// How many of its bytes are still to come, those in the head included.
    left: u64,
    checksum: crc32fast::Hasher,
    tail: Vec<u8>,
}

impl Decoder for Tensor {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decoded, StorageError> {
        let mut consumed = 0;
        while self.found.is_none() {
            let step = self.take(&input[consumed..], true)?;
            consumed += step.consumed;
            if self.found.is_none() && step.produced == 0 {
                return Ok(Decoded { consumed, produced: 0 });
            }
        }
        let wanted = output.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut produced = self.give(&mut output[..wanted]);
        if produced == 0 && wanted > 0 {
            let step = self.zstd.decode(&input[consumed..], &mut output[..wanted])?;
            (consumed, produced) = (consumed + step.consumed, step.produced);
        }
        self.checksum.update(&output[..produced]);
        self.left -= produced as u64;
        if wanted == 0 {
            // What comes after the tensor is no output: go on until the input is used up, and all that it decodes to.
            loop {
                let step = self.take(&input[consumed..], false)?;
                consumed += step.consumed;
                if step.produced == 0 {
                    break;
                }
            }
        }
        Ok(Decoded { consumed, produced })
    }

    fn layout(&self) -> Option<&Layout> {
        self.found.as_ref().map(|(_, layout)| layout)
    }

    /// Now that all of the archive but the tensor is known, it must say the same as its beginning.
    fn finish(&mut self) -> Result<bool, StorageError> {
        self.zstd.finish()?;
        let Some((head, _)) = self.found.take() else {
            return Err(self.zstd.corrupt("the archive in the zstd stream holds no tensor"));
        };
        if self.left > 0 {
            return Err(self.zstd.corrupt(format!("the zstd stream lacks {} bytes of the tensor", self.left)));
        }
        let start = head.payload as usize;
        let length = head.tensor.storage.length;
        self.head.truncate(start);
        let mut known = Known::new(head.payload + length + self.tail.len() as u64);
        known.learn(0, Bytes::from(std::mem::take(&mut self.head)));
        known.learn(head.payload + length, Bytes::from(std::mem::take(&mut self.tail)));
        let found = std::mem::take(&mut self.checksum).finalize();
        let crc = agrees(&known, &head).map_err(|lack| self.fault(lack))?;
        match crc {
            Some(expected) if expected != found => Err(StorageError::Corrupt {
                path: self.zstd.file.clone(),
                offset: self.zstd.offset,
                reason: format!("the tensor in the zstd stream has checksum {found:08x}, expected {expected:08x}"),
            }),
            crc => Ok(crc.is_some()),
        }
    }
}

impl Tensor {
    /// Decodes a step into the head or the tail.
    fn take(&mut self, input: &[u8], is_head: bool) -> Result<Decoded, StorageError> {
        let edge = if is_head { &mut self.head } else { &mut self.tail };
        if edge.len() >= MAX_EDGE {
            return Err(self.zstd.corrupt("the archive in the zstd stream has too much beside its tensor"));
        }
        let step = self.zstd.decode(input, &mut self.piece)?;
        edge.extend_from_slice(&self.piece[..step.produced]);
        // Not after every byte: what has been looked at in vain is looked at again when there is twice as much, or no more.
        let is_worth_it = self.head.len() >= 2 * self.looked || input.is_empty();
        if is_head && self.head.len() > self.looked && is_worth_it {
            self.looked = self.head.len();
            self.look()?;
        }
        Ok(step)
    }

    /// Looks whether the head is complete.
    fn look(&mut self) -> Result<(), StorageError> {
        let head = match Head::read(&self.head) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(lack) => return Err(self.fault(lack)),
        };
        let Head { tensor, order, .. } = &head;
        if tensor.dtype != self.dtype || tensor.shape != self.sizes {
            let (dtype, sizes) = (self.dtype, &self.sizes);
            let reason = format!("the index says {dtype} {sizes:?}, the archive {} {:?}", tensor.dtype, tensor.shape);
            return Err(self.zstd.corrupt(reason));
        }
        self.left = tensor.storage.length;
        let layout = tensor.layout(*order);
        self.found = Some((head, layout));
        let beyond = self.payload_in_head().len() as u64;
        if beyond > self.left {
            let (head, rest) = self.head.split_at(self.head.len() - (beyond - self.left) as usize);
            self.tail = rest.to_vec();
            self.head = head.to_vec();
        }
        Ok(())
    }

    /// Gives out what the head has of the tensor.
    fn give(&mut self, output: &mut [u8]) -> usize {
        let there = &self.payload_in_head()[self.given..];
        let count = there.len().min(output.len());
        output[..count].copy_from_slice(&there[..count]);
        self.given += count;
        count
    }

    fn payload_in_head(&self) -> &[u8] {
        let start = self.found.as_ref().map_or(0, |(head, _)| head.payload as usize);
        self.head.get(start..).unwrap_or_default()
    }

    fn fault(&self, lack: Lack) -> StorageError {
        let fault = match lack {
            Lack::Fault(fault) => fault,
            Lack::Bytes { offset, .. } => Fault { offset, what: Wrong::Malformed("its records lie elsewhere".into()) },
        };
        // Offsets in the archive are none in the file.
        self.zstd.corrupt(format!("byte {} of the archive in the zstd stream: {}", fault.offset, fault.reason()))
    }
}

/// Whether the directory of an archive agrees with its head; the tensor's checksum, if it has one.
fn agrees(known: &Known, head: &Head) -> Result<Option<u32>, Lack> {
    let archive = Archive::read(known)?;
    archive.pickle(known, MAX_PICKLE)?;
    let stored = archive.storage(known, &head.tensor.storage.key)?;
    let is_same = stored.offset == head.payload
        && stored.length == head.tensor.storage.length
        && archive.byte_order() == head.order;
    if is_same {
        return Ok(stored.crc);
    }
    Err(crate::archive::malformed(stored.offset, "the directory contradicts the archive's beginning"))
}
