//! Decodes streams: each once in a call, for everything that is wanted of it.

use std::collections::HashMap;

use dcp_types::{DType, Dest, Fqn, ReadItem, ReadWhat, Region};

use super::encoded::{AsIs, Encoded, missing, stored};
use super::nonsense;
use super::outlets::{Outlets, Part};
use super::sizes::Sizes;
use super::split::is_fit;
use super::task::Task;
use crate::{Decoder, Io, ReadReport, StorageError, Store, StorePath, Stream, Verify};

/// Decoded bytes come in pieces of this size.
const OUTPUT: usize = Io::READ_BUFFER as usize;

/// The streams of which something is wanted.
#[derive(Default)]
pub(super) struct Streams<'a> {
    all: Vec<Decoding<'a>>,
    /// By file, offset and length, and the chunk of the entry, if it is no value.
    numbers: HashMap<(StorePath, u64, u64, usize, Option<Region>), usize>,
}

/// A stream, and all that is wanted of the item in it.
pub(super) struct Decoding<'a> {
    stream: Stream,
    item: ReadItem,
    dtype: Option<DType>,
    parts: Vec<Part<'a>>,
}

impl<'a> Streams<'a> {
    /// Adds something that is wanted.
    pub(super) fn add(
        &mut self,
        fqn: Fqn,
        item: ReadItem,
        dtype: Option<DType>,
        stream: Stream,
        dest: Dest<'a>,
    ) -> Result<(), StorageError> {
        if let Some(reason) = nonsense(stream.offset, stream.length, stream.checks.as_ref()) {
            return Err(corrupt(&stream, reason));
        }
        if stream.layers.missing().is_some() {
            return Err(missing(&stream, &fqn));
        }
        let part = part(fqn, &item, dtype, &stream, dest)?;
        if part.is_empty() {
            return Ok(());
        }
        let chunk = match &item.what {
            ReadWhat::Region { chunk, .. } => Some(chunk.region.clone()),
            ReadWhat::Value => None,
        };
        let number = *self
            .numbers
            .entry((stream.file.clone(), stream.offset, stream.length, item.entry, chunk))
            .or_insert(self.all.len());
        match self.all.get_mut(number) {
            Some(decoding) => decoding.parts.push(part),
            None => self.all.push(Decoding { stream, item, dtype, parts: vec![part] }),
        }
        Ok(())
    }

    /// One task a stream.
    pub(super) fn tasks(self) -> impl Iterator<Item = Task<'a>> {
        self.all.into_iter().map(Task::Decoding)
    }
}

/// What is wanted, after checking that it fits.
fn part<'a>(
    fqn: Fqn,
    item: &ReadItem,
    dtype: Option<DType>,
    stream: &Stream,
    dest: Dest<'a>,
) -> Result<Part<'a>, StorageError> {
    let region = match &item.what {
        ReadWhat::Value => None,
        ReadWhat::Region { chunk, region } => {
            let inside = region.relative_to(&chunk.region);
            Some(inside.map_err(|fault| corrupt(stream, fault.to_string()))?)
        }
    };
    let is_fit = match (&region, &dest) {
        (Some(region), Dest::Memory(view)) => is_fit(view, region, dtype.map_or(1, DType::size)),
        (Some(_), Dest::Value(_)) | (None, Dest::Memory(_)) => false,
        _ => true,
    };
    if is_fit {
        Ok(Part { fqn, region, dest })
    } else {
        let source = format!("{dest:?} for {}", region.map_or_else(|| "a value".into(), |region| region.to_string()));
        Err(StorageError::Destination { fqn, source: source.into() })
    }
}

impl Decoding<'_> {
    /// Decodes; returns what it has cost.
    pub(super) async fn run(self, store: &dyn Store, sizes: &Sizes, io: &Io<'_>) -> Result<ReadReport, StorageError> {
        let Self { stream, item, dtype, parts } = self;
        let fqn = parts.first().map_or_else(|| "?".into(), |part| part.fqn.clone());
        let stored = stored(&stream, fqn.clone(), store, io);
        let mut encoded = Encoded::new(store, sizes, io, &stream, &fqn, &stored)?;
        let mut decoder: Box<dyn Decoder> = match &stream.codec {
            Some(codec) => codec.decoder(&stream, &item),
            None => Box::new(AsIs),
        };
        let mut outlets = Outlets::new(&stream, &item, dtype, parts);
        let (mut input, mut output) = (Vec::new(), vec![0; OUTPUT]);
        // What is left of the input, and what is held back in the output until its element is whole.
        let (mut from, mut held) = (0, 0);
        loop {
            if from == input.len() {
                encoded.next(&mut input).await?;
                from = 0;
            }
            let room = output.len() - held;
            let done = decoder.decode(&input[from..], &mut output[held..])?;
            if done.consumed > input.len() - from || done.produced > room {
                return Err(corrupt(&stream, "its decoder does more than there is to do".into()));
            }
            from += done.consumed;
            if done.produced > 0 {
                outlets.open(decoder.layout())?;
                let filled = held + done.produced;
                let taken = outlets.take(&output[..filled])?;
                output.copy_within(taken..filled, 0);
                held = filled - taken;
            } else if done.consumed == 0 {
                if from == input.len() {
                    break;
                }
                return Err(corrupt(&stream, "more follows after the end of what is encoded".into()));
            }
        }
        let is_verified = decoder.finish()? || stream.checks.is_some() && io.verify() != Verify::None;
        outlets.open(decoder.layout())?;
        let mut report = encoded.report();
        report.needed = outlets.finish(held)?;
        report.verified = if is_verified { report.needed } else { 0 };
        Ok(report)
    }
}

/// Something is wrong with what is encoded.
pub(super) fn corrupt(stream: &Stream, reason: String) -> StorageError {
    StorageError::Corrupt { path: stream.file.clone(), offset: stream.offset, reason }
}
