//! Tensors that PyTorch has written through transforms (`_extension.py`): what comes out when they are undone is the whole archive.
//! Nothing says how long it will be, and where in it the tensor lies shows only on the way.

use bytes::Bytes;
use dcp_storage::{Decoded, Decoder, Layout, StorageError, StorePath, Stream, StreamCodec};
use dcp_types::{DType, ReadItem};

use super::head::Head;
use crate::archive::{Archive, Fault, Known, Lack, MAX_PICKLE, Wrong};

/// The most that may come before the tensor's bytes, and after them.
const MAX_EDGE: usize = 1 << 20;
/// How much is taken at a time while looking for where the tensor starts.
const STEP: usize = 16 << 10;

/// Takes the archive off a tensor.
#[derive(Debug)]
pub(super) struct TensorInArchive {
    /// What the index says of the chunk.
    pub(super) dtype: DType,
    pub(super) sizes: Vec<u64>,
}

impl StreamCodec for TensorInArchive {
    fn decoder(&self, stream: &Stream, _: &ReadItem) -> Box<dyn Decoder> {
        Box::new(Tensor {
            file: stream.file.clone(),
            offset: stream.offset,
            dtype: self.dtype,
            sizes: self.sizes.clone(),
            head: Vec::new(),
            looked: 0,
            found: None,
            given: 0,
            left: 0,
            checksum: crc32fast::Hasher::new(),
            tail: Vec::new(),
        })
    }
}

/// Lets through the bytes of a tensor.
struct Tensor {
    file: StorePath,
    /// Where the stream starts in the file.
    offset: u64,
    dtype: DType,
    sizes: Vec<u64>,
    /// What comes before the tensor's bytes, and maybe the first of them.
    head: Vec<u8>,
    /// How much of the head has been looked at.
    looked: usize,
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
        let is_end = input.is_empty();
        while self.found.is_none() {
            let step = &input[consumed..input.len().min(consumed + STEP)];
            Self::keep(step, &mut self.head).ok_or_else(|| self.too_much())?;
            consumed += step.len();
            // Not after every byte: what has been looked at in vain is looked at again when there is twice as much, or no more.
            if self.head.len() > self.looked && (self.head.len() >= 2 * self.looked || is_end) {
                self.looked = self.head.len();
                self.look()?;
            }
            if self.found.is_none() && step.is_empty() {
                return Ok(Decoded { consumed, produced: 0 });
            }
        }
        let wanted = output.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut produced = self.give(&mut output[..wanted]);
        if produced == 0 && wanted > 0 {
            produced = wanted.min(input.len() - consumed);
            output[..produced].copy_from_slice(&input[consumed..consumed + produced]);
            consumed += produced;
        }
        self.checksum.update(&output[..produced]);
        self.left -= produced as u64;
        if wanted == 0 && self.left == 0 {
            // What comes after the tensor is no output.
            Self::keep(&input[consumed..], &mut self.tail).ok_or_else(|| self.too_much())?;
            consumed = input.len();
        }
        Ok(Decoded { consumed, produced })
    }

    fn layout(&self) -> Option<&Layout> {
        self.found.as_ref().map(|(_, layout)| layout)
    }

    /// Now that all of the archive but the tensor is known, it must say the same as its beginning.
    fn finish(&mut self) -> Result<bool, StorageError> {
        let Some((head, _)) = self.found.take() else {
            return Err(self.corrupt("the archive in the stream holds no tensor"));
        };
        if self.left > 0 {
            return Err(self.corrupt(format!("the archive in the stream lacks {} bytes of the tensor", self.left)));
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
            Some(expected) if expected != found => {
                Err(self.corrupt(format!("the tensor in the stream has checksum {found:08x}, expected {expected:08x}")))
            }
            crc => Ok(crc.is_some()),
        }
    }
}

impl Tensor {
    /// Keeps bytes of the head or the tail, unless they are too many.
    fn keep(bytes: &[u8], edge: &mut Vec<u8>) -> Option<()> {
        if edge.len() + bytes.len() > MAX_EDGE {
            return None;
        }
        edge.extend_from_slice(bytes);
        Some(())
    }

    fn too_much(&self) -> StorageError {
        self.corrupt("the archive in the stream has too much beside its tensor")
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
            return Err(self.corrupt(reason));
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
        self.corrupt(format!("byte {} of the archive in the stream: {}", fault.offset, fault.reason()))
    }

    fn corrupt(&self, reason: impl Into<String>) -> StorageError {
        StorageError::Corrupt { path: self.file.clone(), offset: self.offset, reason: reason.into() }
    }
}

/// Whether the directory of an archive agrees with its head; the tensor's checksum, if it has one.
fn agrees(known: &Known, head: &Head) -> Result<Option<u32>, Lack> {
    let archive = Archive::read(known)?;
    archive.pickle(known, MAX_PICKLE)?;
    let stored = archive.storage(known, &head.tensor.storage.key)?;
    let is_same = stored.offset == head.payload
        && stored.length == head.tensor.storage.length
        && archive.byte_order == head.order;
    if is_same {
        return Ok(stored.crc);
    }
    Err(crate::archive::malformed(stored.offset, "the directory contradicts the archive's beginning"))
}
