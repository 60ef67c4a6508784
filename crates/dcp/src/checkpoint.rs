//! Looking into a checkpoint.

use std::sync::Arc;

use dcp_storage::{
    ComposedReader, Finding, Format, Io, Locator, OpenedCheckpoint, ReadReport, StorageReader, Store, Strictness,
    Verify,
};
use dcp_types::{
    Dest, EntryKind, Fqn, Loaded, LoadedLeaf, Metadata, OwnedTensor, ReadItem, ReadWhat, Region, Shape, TensorEntry,
    Value, ViewMut, unflatten,
};

use crate::{Error, Location, Opener, formats};

/// An open checkpoint: what it holds, and any part of it.
///
/// ```
/// use dcp::{Checkpoint, LocalTensor, MemoryStore, Region, Saver, StateDict};
/// let weight = ndarray::Array2::from_shape_fn((4, 3), |(row, column)| (10 * row + column) as f32);
/// let store = MemoryStore::new();
/// let state = StateDict::new().with("weight", LocalTensor::whole(weight.view().into_dyn())?).with("step", 7);
/// Saver::new().save_dict(&state, store.clone())?;
///
/// let checkpoint = Checkpoint::open(store)?;
/// let rows = checkpoint.slice("weight", &Region::new([1, 0], [2, 3])?)?;
/// assert_eq!(rows.to_array::<f32>()?[[1, 2]], 22.0);
/// assert_eq!(checkpoint.value("step")?, 7.into());
/// # Ok::<(), dcp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoint {
    reader: Arc<ComposedReader>,
    opened: Arc<dyn OpenedCheckpoint>,
    metadata: Arc<Metadata>,
    format: &'static str,
    location: String,
    io: Io<'static>,
}

impl Checkpoint {
    /// Opens the checkpoint at a place, whatever format it is of. For formats and transforms that are brought along see [`Opener`].
    ///
    /// # Errors
    /// [`Error::Storage`] if there is none, or its index cannot be read.
    pub fn open(at: impl Into<Location>) -> Result<Self, Error> {
        Opener::new().open(at)
    }

    /// Opens a checkpoint for rescue: what its index describes in a way that cannot be right (holes, overlaps, chunks out of
    /// bounds) is left out of its metadata, and listed in [`findings`](Self::findings).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn salvage(at: impl Into<Location>) -> Result<Self, Error> {
        Opener::new().salvage(at)
    }

    pub(crate) fn open_in(
        store: Arc<dyn Store>,
        strictness: Strictness,
        formats: &[Arc<dyn Format>],
    ) -> Result<Self, Error> {
        let io = Io::new()?;
        let format = formats::detect(&store, formats, &io)?;
        let (name, location) = (format.name(), store.location());
        let reader = ComposedReader::new(format, store).strictness(strictness);
        let metadata = io.block_on(reader.read_metadata(&io))?.metadata;
        let (opened, reader) = (reader.opened()?, Arc::new(reader));
        Ok(Self { reader, opened, metadata, format: name, location, io })
    }

    /// The same with other checks of what is read.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.io = self.io.with_verify(verify);
        self
    }

    /// What it holds.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// What was left out of the metadata because it is not sound; nothing unless opened to [`salvage`](Self::salvage).
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.opened.findings()
    }

    /// The name of its format, as `native`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// A whole tensor.
    ///
    /// # Errors
    /// [`Error::NoEntry`], [`Error::Storage`].
    pub fn tensor(&self, fqn: &str) -> Result<OwnedTensor, Error> {
        let (_, tensor) = self.find_tensor(fqn)?;
        self.slice(fqn, &Region::full(&tensor.shape))
    }

    /// A region of a tensor. Reads just the bytes of it.
    ///
    /// # Errors
    /// [`Error::NoEntry`], [`Error::Storage`], and [`Error::Types`] if the region is not inside the tensor.
    pub fn slice(&self, fqn: &str, region: &Region) -> Result<OwnedTensor, Error> {
        let (entry, tensor) = self.find_tensor(fqn)?;
        // Memory is taken only for what is really there.
        self.io.block_on(self.reader.check(&items(entry, tensor, region)?, &self.io))?;
        let mut slice = OwnedTensor::zeros(tensor.dtype, Shape::new(region.sizes().iter().copied())?);
        self.read_into(fqn, region, slice.view_mut()?)?;
        Ok(slice)
    }

    /// Reads a region of a tensor into memory of its extents and dtype.
    ///
    /// # Errors
    /// As [`slice`](Self::slice), and [`Error::Types`] if the memory is of another dtype or shape.
    pub fn read_into(&self, fqn: &str, region: &Region, into: ViewMut<'_>) -> Result<ReadReport, Error> {
        let (entry, tensor) = self.find_tensor(fqn)?;
        if into.dtype() != tensor.dtype {
            let (expected, found) = (tensor.dtype, into.dtype());
            return Err(dcp_types::TypesError::LocalDType { expected, found }.into());
        }
        if into.shape() != region.sizes() {
            let (expected, found) = (region.sizes().to_vec(), into.shape());
            return Err(dcp_types::TypesError::LocalShape { expected, found }.into());
        }
        let items = items(entry, tensor, region)?;
        let boxes = items.iter().filter_map(|item| match &item.what {
            ReadWhat::Region { region: part, .. } => Some(part.relative_to(region)),
            ReadWhat::Value => None,
        });
        let boxes = boxes.collect::<Result<Vec<_>, _>>()?;
        let mut wanted = Vec::with_capacity(items.len());
        for (piece, at, number) in into.cut(boxes)? {
            let mut item = items[number].clone();
            if let ReadWhat::Region { region: part, .. } = &mut item.what {
                *part = at.shifted(region.offsets())?;
            }
            wanted.push((item, Dest::Memory(piece)));
        }
        Ok(self.io.block_on(self.reader.read_data(wanted, &self.io))?)
    }

    /// A value.
    ///
    /// # Errors
    /// [`Error::NoEntry`], [`Error::Storage`].
    pub fn value(&self, fqn: &str) -> Result<Value, Error> {
        match self.metadata.find(fqn) {
            Some((entry, leaf)) if leaf.as_tensor().is_none() => {
                let mut values = self.values(&[entry])?;
                Ok(values.pop().unwrap_or(Value::None))
            }
            _ => Err(self.no_entry("value", fqn)),
        }
    }

    /// Everything, as the tree that was saved.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn load(&self) -> Result<Loaded, Error> {
        let mut leaves = Vec::with_capacity(self.metadata.len());
        let numbered = || self.metadata.entries().enumerate();
        let values: Vec<usize> =
            numbered().filter(|(_, (_, entry))| entry.as_tensor().is_none()).map(|(number, _)| number).collect();
        let mut values = self.values(&values)?.into_iter();
        for (_, (fqn, entry)) in numbered() {
            let leaf = match &entry.kind {
                EntryKind::Tensor(_) => LoadedLeaf::Tensor(self.tensor(fqn.as_str())?),
                _ => LoadedLeaf::Value(values.next().unwrap_or(Value::None)),
            };
            leaves.push((entry.path.clone(), leaf));
        }
        Ok(unflatten(leaves)?)
    }

    /// The values of entries that are no tensors, in one read.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn values(&self, entries: &[usize]) -> Result<Vec<Value>, Error> {
        self.values_with(entries, &self.io)
    }

    pub(crate) fn values_with(&self, entries: &[usize], io: &Io<'_>) -> Result<Vec<Value>, Error> {
        let item = |entry| ReadItem { entry, what: ReadWhat::Value };
        let mut encoded: Vec<Vec<u8>> = vec![Vec::new(); entries.len()];
        let wanted = entries.iter().map(|&entry| item(entry)).zip(encoded.iter_mut().map(Dest::Value)).collect();
        io.block_on(self.reader.read_data(wanted, io))?;
        let decoded = entries.iter().zip(encoded).map(|(&entry, bytes)| self.reader.decode_value(entry, bytes.into()));
        Ok(decoded.collect::<Result<_, _>>()?)
    }

    /// Where chunks and values lie, after finding out that they are there, whole: one locator an item, in order.
    ///
    /// Reads headers and tables of checksums, but nothing of the items themselves.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn locate(&self, items: Vec<ReadItem>) -> Result<Vec<Locator>, Error> {
        Ok(self.io.block_on(self.reader.locate(items, &self.io))?)
    }

    /// The same for items of which some may be bad: one outcome an item, in order, so that one does not hide the others.
    ///
    /// # Errors
    /// In place of a locator, what [`locate`](Self::locate) says of this item alone.
    #[must_use]
    pub fn locate_each(&self, items: Vec<ReadItem>) -> Vec<Result<Locator, Error>> {
        each(&items, &mut |items: &[ReadItem]| self.locate(items.to_vec()))
    }

    /// The values of entries of which some may be bad: one outcome an entry, in order.
    ///
    /// # Errors
    /// In place of a value, what [`values`](Self::values) says of this entry alone.
    #[must_use]
    pub fn values_each(&self, entries: &[usize]) -> Vec<Result<Value, Error>> {
        each(entries, &mut |entries: &[usize]| self.values(entries))
    }

    /// Reads all that is stored of a tensor for its checksums, in little memory; in the report is how much had any.
    ///
    /// # Errors
    /// [`Error::NoEntry`], and [`Error::Storage`] for the first thing that is wrong.
    pub fn check(&self, fqn: &str) -> Result<ReadReport, Error> {
        self.check_with(fqn, &self.io)
    }

    pub(crate) fn check_with(&self, fqn: &str, io: &Io<'_>) -> Result<ReadReport, Error> {
        let (entry, tensor) = self.find_tensor(fqn)?;
        let mut chunks = tensor.all_chunks().map(|chunk| ReadItem::whole_chunk(entry, chunk)).peekable();
        let mut report = ReadReport::default();
        while chunks.peek().is_some() {
            let batch = chunks.by_ref().take(CHUNKS).map(|item| (item, Dest::Discard)).collect();
            report += io.block_on(self.reader.read_data(batch, io))?;
        }
        Ok(report)
    }

    /// What a value would do where its own language decodes it, if that is harm.
    /// [`value`](Self::value) fails with it, unless the checkpoint was opened to [`salvage`](Self::salvage).
    #[must_use]
    pub fn harm_in_value(&self, entry: usize, value: &Value) -> Option<Error> {
        Some(self.opened.harm_in_value(entry, value)?.into())
    }

    pub(crate) fn reader(&self) -> &ComposedReader {
        &self.reader
    }

    pub(crate) fn opened(&self) -> &dyn OpenedCheckpoint {
        &*self.opened
    }

    pub(crate) fn io(&self) -> &Io<'static> {
        &self.io
    }

    fn find_tensor(&self, fqn: &str) -> Result<(usize, &TensorEntry), Error> {
        let found = self.metadata.find(fqn).and_then(|(number, entry)| Some((number, entry.as_tensor()?)));
        found.ok_or_else(|| self.no_entry("tensor", fqn))
    }

    fn no_entry(&self, kind: &'static str, fqn: &str) -> Error {
        Error::NoEntry { location: self.location.clone(), kind, fqn: Fqn::from(fqn).to_string() }
    }
}

/// So many chunks are read for their checksums at a time.
const CHUNKS: usize = 1 << 10;

/// Does something to all at once; where that fails, to either half.
pub(crate) fn each<T, U>(all: &[T], act: &mut impl FnMut(&[T]) -> Result<Vec<U>, Error>) -> Vec<Result<U, Error>> {
    match act(all) {
        Ok(done) => done.into_iter().map(Ok).collect(),
        Err(error) if all.len() <= 1 => all.iter().zip([error]).map(|(_, error)| Err(error)).collect(),
        Err(_) => {
            let (low, high) = all.split_at(all.len() / 2);
            let mut done = each(low, act);
            done.extend(each(high, act));
            done
        }
    }
}

/// What is to be read for a region of a tensor.
fn items(entry: usize, tensor: &TensorEntry, region: &Region) -> Result<Vec<ReadItem>, Error> {
    if !region.fits(tensor.shape.dims()) {
        let extents = tensor.shape.dims().to_vec();
        return Err(dcp_types::TypesError::OutOfBounds { region: region.clone(), extents }.into());
    }
    let item = |chunk: dcp_types::Chunk| {
        let region = chunk.region.intersect(region)?;
        Some(ReadItem { entry, what: ReadWhat::Region { chunk, region } })
    };
    Ok(tensor.chunks_meeting(region).into_iter().filter_map(item).collect())
}
