//! Where the bytes of a save come from, and where those of a load go.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{DType, Region, TypesError, Value, View, ViewMut};

/// What a data source or sink of a user may report.
pub type DataError = Box<dyn Error + Send + Sync>;

/// A tensor that can be read but not lent: on a device, behind a lock, owned by another language.
pub trait DataSource: Send + Sync {
    /// The dtype.
    fn dtype(&self) -> DType;

    /// The extents.
    fn shape(&self) -> Vec<u64>;

    /// Copies the tensor's row-major bytes from byte `offset` on, until `out` is full.
    ///
    /// Called from several threads, for ranges in any order.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being read; it fails the save.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DataError>;
}

/// A place that takes a tensor's bytes but cannot lend memory for them; also what casts, digests or compares them.
pub trait DataSink: Send {
    /// Takes the next bytes of the region that is being loaded: row-major, each byte once, in order.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being taken; it fails the load.
    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError>;
}

/// The bytes of one write item.
#[non_exhaustive]
pub enum Source<'a> {
    /// Borrowed memory.
    View(View<'a>),
    /// Something that is read when its turn comes.
    Lazy(Box<dyn DataSource + 'a>),
    /// The same, shared.
    Shared(Arc<dyn DataSource>),
    /// A value.
    Value(Cow<'a, Value>),
    /// A value as a format has encoded it.
    Bytes(Bytes),
}

impl Source<'_> {
    /// The dtype and extents; `None` for values.
    #[must_use]
    pub fn tensor_type(&self) -> Option<(DType, Vec<u64>)> {
        match self {
            Self::View(view) => Some((view.dtype(), view.shape())),
            Self::Lazy(source) => Some((source.dtype(), source.shape())),
            Self::Shared(source) => Some((source.dtype(), source.shape())),
            Self::Value(_) | Self::Bytes(_) => None,
        }
    }

    /// A part of the tensor, given by where it stands in this local buffer.
    ///
    /// # Errors
    /// As [`View::slice`] and [`View::flat_part`].
    pub fn part(&self, place: &BufferPlace, sizes: &[u64]) -> Result<Source<'_>, TypesError> {
        Ok(match self {
            Self::View(view) => Source::View(match place {
                BufferPlace::Box(offsets) => {
                    view.reborrow().slice(&Region::new(offsets.iter().copied(), sizes.iter().copied())?)?
                }
                BufferPlace::Flat(start) => view.reborrow().flat_part(*start, sizes)?,
            }),
            Self::Lazy(source) => Source::Lazy(Box::new(Part::new(source.as_ref(), place, sizes)?)),
            Self::Shared(source) => Source::Lazy(Box::new(Part::new(source.as_ref(), place, sizes)?)),
            Self::Value(value) => Source::Value(Cow::Borrowed(value)),
            Self::Bytes(bytes) => Source::Bytes(bytes.clone()),
        })
    }

    /// A shorter borrow of the same bytes.
    #[must_use]
    pub fn reborrow(&self) -> Source<'_> {
        match self {
            Self::View(view) => Source::View(view.reborrow()),
            Self::Lazy(source) => Source::Lazy(Box::new(Borrowed(source.as_ref()))),
            Self::Shared(source) => Source::Shared(Arc::clone(source)),
            Self::Value(value) => Source::Value(Cow::Borrowed(value)),
            Self::Bytes(bytes) => Source::Bytes(bytes.clone()),
        }
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View(view) => write!(f, "View({} {:?})", view.dtype(), view.shape()),
            Self::Lazy(source) => write!(f, "Lazy({} {:?})", source.dtype(), source.shape()),
            Self::Shared(source) => write!(f, "Shared({} {:?})", source.dtype(), source.shape()),
            Self::Value(_) => f.write_str("Value"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
        }
    }
}

/// Where a part of a tensor stands in a local buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BufferPlace {
    /// As a box with this first element, in a buffer of as many dimensions.
    Box(Vec<u64>),
    /// Row-major from this element of a one-dimensional buffer on: flat parameters.
    Flat(u64),
}

/// The destination of one read item.
#[non_exhaustive]
pub enum Dest<'a> {
    /// Borrowed memory of the item's extents.
    Memory(ViewMut<'a>),
    /// Something that takes the item's bytes in order.
    Sink(Box<dyn DataSink + 'a>),
    /// A buffer that becomes the whole content of a value.
    Value(&'a mut Vec<u8>),
    /// Nothing: all that is stored of the item's chunk or value is read, for its checksums, and dropped.
    Discard,
}

impl fmt::Debug for Dest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(view) => write!(f, "Memory({} {:?})", view.dtype(), view.shape()),
            Self::Sink(_) => f.write_str("Sink"),
            Self::Value(_) => f.write_str("Value"),
            Self::Discard => f.write_str("Discard"),
        }
    }
}

/// A part of a lazy source.
struct Part<'a> {
    whole: &'a dyn DataSource,
    extents: Vec<u64>,
    region: Region,
    shape: Vec<u64>,
}

impl<'a> Part<'a> {
    fn new(whole: &'a dyn DataSource, place: &BufferPlace, sizes: &[u64]) -> Result<Self, TypesError> {
        let extents = whole.shape();
        let region = match place {
            BufferPlace::Box(offsets) => Region::new(offsets.iter().copied(), sizes.iter().copied())?,
            BufferPlace::Flat(_) if extents.len() != 1 => return Err(TypesError::NotFlat),
            BufferPlace::Flat(start) => Region::new([*start], [sizes.iter().product()])?,
        };
        if !region.fits(&extents) {
            return Err(TypesError::OutOfBounds { region, extents });
        }
        Ok(Self { whole, extents, region, shape: sizes.to_vec() })
    }
}

impl DataSource for Part<'_> {
    fn dtype(&self) -> DType {
        self.whole.dtype()
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn read_at(&self, offset: u64, mut out: &mut [u8]) -> Result<(), DataError> {
        let runs = self.region.runs(&self.extents)?;
        let size = self.dtype().size();
        let (expected, found) = (offset.saturating_add(out.len() as u64), self.region.numel() * size);
        if expected > found {
            return Err(TypesError::BufferLength { expected, found }.into());
        }
        let run = runs.run_length() * size;
        let Some(first) = offset.checked_div(run) else { return Ok(()) };
        let mut skip = offset % run;
        for start in runs.skip(usize::try_from(first)?) {
            if out.is_empty() {
                break;
            }
            let len = (out.len() as u64).min(run - skip) as usize;
            let (now, later) = out.split_at_mut(len);
            self.whole.read_at(start * size + skip, now)?;
            (out, skip) = (later, 0);
        }
        Ok(())
    }
}

struct Borrowed<'a>(&'a dyn DataSource);

impl DataSource for Borrowed<'_> {
    fn dtype(&self) -> DType {
        self.0.dtype()
    }
    fn shape(&self) -> Vec<u64> {
        self.0.shape()
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        self.0.read_at(offset, out)
    }
}
