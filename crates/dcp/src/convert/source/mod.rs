//! The bytes that a rank of the plan writes, out of the source: opened when their turn comes, read once, in little memory.
//!
//! What is written is a stream of bytes in row-major order, and so is what is read of each chunk of the source. So a chunk that is
//! written is put together from the streams of the chunks of the source that it meets ([`merged`]), each of which is read once, in
//! order, by a thread of its own ([`stream`]): what is compressed is decoded once, and checksums over whole chunks are compared.
//! Short chunks are read many in one call ([`ahead`]); where too many chunks would have to be open at once, it is read band by band ([`bands`]).

mod ahead;
mod bands;
mod merged;
mod named;
mod stream;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use dcp_default_planner::cast;
use dcp_storage::{Io, StorageError, StorageReader, Verify, WriteSource};
use dcp_types::{
    Chunk, DType, DataError, DataSource, Dest, ReadItem, ReadWhat, Region, Source, TensorEntry, ViewMut, WriteItem,
    WriteWhat,
};

use self::ahead::Ahead;
use self::bands::Bands;
use self::merged::Merged;
pub(super) use self::merged::open_at_once;
pub(super) use self::named::Failed;
use self::named::Named;
use super::cancel::Cancel;
use super::plan::Planned;
use crate::Checkpoint;

/// A source and what is to be made of it: what all ranks of the plan share.
pub(super) struct Origin<'a> {
    pub(super) checkpoint: Checkpoint,
    pub(super) planned: Planned,
    /// Entries of the source whose checksums have been compared beforehand.
    pub(super) checked: Vec<bool>,
    pub(super) cancel: Cancel,
    /// Whether one of the ranks has failed.
    pub(super) failed: AtomicBool,
    /// Told of every byte of a tensor that has been handed over.
    pub(super) advance: &'a (dyn Fn(u64) + Send + Sync),
    /// The most bytes of memory that one rank takes, about.
    pub(super) memory: u64,
}

/// However little memory there is, so many bytes are read at a time.
const LEAST_BAND: u64 = 4 << 10;

/// How many chunks of the source can be open at once, where there is so much memory beside the writer's buffer.
pub(super) fn most_open(memory: u64) -> u64 {
    (memory.saturating_sub(Io::WRITE_BUFFER) / stream::MEMORY).max(2)
}

/// The source of one rank of the plan.
pub(super) struct RankSource<'a> {
    origin: &'a Origin<'a>,
    ahead: Ahead,
}

impl<'a> RankSource<'a> {
    pub(super) fn new(origin: &'a Origin<'a>, items: Vec<WriteItem>) -> Self {
        Self { origin, ahead: Ahead::new(items) }
    }
}

impl WriteSource for RankSource<'_> {
    fn source(&self, item: &WriteItem) -> Result<Source<'_>, StorageError> {
        let origin = self.origin;
        let fqn = || origin.planned.plan.outline().name(item.entry);
        let opened = origin.go_on().and_then(|()| match &item.what {
            WriteWhat::Value => origin.value(item.entry),
            WriteWhat::Chunk(_, bytes) if *bytes <= origin.short() => {
                self.ahead.chunk(item, origin).inspect(|_| (origin.advance)(*bytes)).map(Source::Bytes)
            }
            WriteWhat::Chunk(chunk, _) => {
                let inner = origin.chunk(item.entry, &chunk.region)?;
                Ok(Source::Lazy(Box::new(Named { fqn: fqn(), origin, inner })))
            }
        });
        opened.map_err(|source| {
            let fqn = fqn();
            StorageError::NoSource { fqn: fqn.clone(), source: Failed { fqn, source }.into() }
        })
    }
}

/// A part of a chunk that is written: what to read for it.
pub(super) struct Wanted<'a> {
    /// The number of the tensor in the source, and what it is there.
    pub(super) entry: usize,
    pub(super) stored: &'a TensorEntry,
    pub(super) dtype: DType,
    pub(super) region: Region,
    /// Whether all checksums that reads of parts could not compare have been compared.
    pub(super) is_checked: bool,
}

impl Origin<'_> {
    /// Ends what reads or writes if somebody has asked for it, or if a rank has failed.
    pub(super) fn go_on(&self) -> Result<(), DataError> {
        self.cancel.check()?;
        if self.failed.load(Ordering::Relaxed) { Err("another rank has failed".into()) } else { Ok(()) }
    }

    /// Lets all ranks stop.
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Chunks up to this size, in bytes, are read many at a time.
    fn short(&self) -> u64 {
        self.memory / 64
    }

    fn value(&self, entry: usize) -> Result<Source<'_>, DataError> {
        let mut values = self.checkpoint.values(&[self.planned.origins[entry]])?;
        let value = values.pop().ok_or("it was not read")?;
        Ok(Source::Value(Cow::Owned(value)))
    }

    fn chunk<'a>(&'a self, entry: usize, region: &Region) -> Result<Box<dyn DataSource + 'a>, DataError> {
        let wanted = self.wanted(entry, region)?;
        if open_at_once(wanted.stored, region)? <= most_open(self.memory) {
            return Ok(Box::new(Merged::new(self, &wanted)?));
        }
        let band = (self.memory / 2).max(LEAST_BAND);
        Ok(Box::new(Bands::new(self, wanted, band)?))
    }

    /// What a chunk of the plan is in the source.
    fn wanted(&self, entry: usize, region: &Region) -> Result<Wanted<'_>, DataError> {
        let of_plan = self.planned.plan.outline().tensor(entry);
        let number = self.planned.origins[entry];
        let stored = self.checkpoint.metadata().entry(number).and_then(|(_, entry)| entry.as_tensor());
        let (of_plan, stored) = of_plan.zip(stored).ok_or("it is no tensor")?;
        let is_checked = self.checked[number];
        Ok(Wanted { entry: number, stored, dtype: of_plan.dtype, region: region.clone(), is_checked })
    }

    /// The chunks of the source that a region meets, each with what is to be read of it.
    fn parts(wanted: &Wanted<'_>) -> impl Iterator<Item = (ReadItem, Region)> {
        let Wanted { entry, stored, region, .. } = wanted;
        let part = move |chunk: Chunk| {
            let part = chunk.region.intersect(region)?;
            let what = ReadWhat::Region { chunk, region: part.clone() };
            Some((ReadItem { entry: *entry, what }, part))
        };
        stored.chunks_meeting(region).into_iter().filter_map(part)
    }

    /// Reads regions into memory, in one call. Their tensors must all have been checked beforehand, or none of them.
    fn read(&self, wanted: &[Wanted<'_>], into: &mut [Vec<u8>]) -> Result<(), DataError> {
        let mut reads = Vec::with_capacity(wanted.len());
        for (wanted, into) in wanted.iter().zip(into) {
            let view = ViewMut::from_bytes(wanted.dtype, wanted.region.sizes(), into)?;
            let (items, parts): (Vec<_>, Vec<_>) = Self::parts(wanted).unzip();
            let boxes = parts.iter().map(|part| part.relative_to(&wanted.region)).collect::<Result<Vec<_>, _>>()?;
            let covered: u64 = parts.iter().map(Region::numel).sum();
            if covered != wanted.region.numel() {
                let total = wanted.region.numel();
                return Err(dcp_types::TypesError::Hole { covered, total }.into());
            }
            for (piece, at, number) in view.cut(boxes)? {
                let mut item = items[number].clone();
                if let ReadWhat::Region { region, .. } = &mut item.what {
                    *region = at.shifted(wanted.region.offsets())?;
                }
                reads.push((item, converted(wanted, Dest::Memory(piece))?));
            }
        }
        let io = self.io(wanted.first().is_some_and(|wanted| wanted.is_checked));
        io.block_on(self.checkpoint.reader().read_data(reads, &io))?;
        Ok(())
    }

    /// Every byte that is converted has its checksum compared: what is damaged must not get a new checksum that is right.
    fn io(&self, is_checked: bool) -> Io<'static> {
        let verify = if is_checked { Verify::Covered } else { Verify::All };
        self.checkpoint.io().clone().with_threads(1).with_read_buffer(stream::BUFFER).with_verify(verify)
    }
}

/// A destination for what is read, converting it on the way if it is stored in another dtype.
fn converted<'a>(wanted: &Wanted<'_>, dest: Dest<'a>) -> Result<Dest<'a>, DataError> {
    let (from, to) = (wanted.stored.dtype, wanted.dtype);
    if from == to {
        return Ok(dest);
    }
    cast(from, to, dest).ok_or_else(|| format!("there is no conversion from {from} to {to}").into())
}
