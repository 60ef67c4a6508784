//! Writes an index.

use std::collections::HashMap;

use dcp_storage::{Generation, StorageError, StorePath};
use dcp_types::{DType, DictKey, Entry, EntryKind, Fqn, Region, Segment, StatePath, TensorEntry};

use super::generation::save_id;
use super::scope::Scope;
use super::words::{FILESYSTEM, METADATA};
use crate::pickle::{Pickler, Protocol, Slot, TooLong};

/// Where everything lies: by entry, and by the offsets of a chunk.
#[derive(Debug, Default)]
pub(crate) struct Places {
    files: Vec<StorePath>,
    items: HashMap<(usize, Option<Vec<u64>>), StoredItem>,
}

/// Where an item lies.
#[derive(Clone, Copy, Debug)]
struct StoredItem {
    file: usize,
    offset: u64,
    length: u64,
}

impl Places {
    /// Adds a file. What is added next lies in it.
    pub(crate) fn add_file(&mut self, file: StorePath) {
        self.files.push(file);
    }

    /// Adds an item of the last file: the value of an entry, or its chunk at these offsets.
    pub(crate) fn add(&mut self, entry: usize, chunk: Option<Vec<u64>>, offset: u64, length: u64) {
        let file = self.files.len().saturating_sub(1);
        self.items.insert((entry, chunk), StoredItem { file, offset, length });
    }
}

/// The index that lists this, in these places, after these transforms (in the order in which they are undone).
///
/// # Errors
/// [`StorageError::Unsupported`] if not every item has its place, or a name is longer than a pickle can hold.
pub(crate) fn encode(
    scope: &Scope<'_>,
    places: &Places,
    transforms: &[String],
    generation: Generation,
) -> Result<Vec<u8>, StorageError> {
    let (pickler, sizes, properties) = (Pickler::new(Protocol::Four), HashMap::new(), HashMap::new());
    let mut writer = IndexWriter { pickler, sizes, properties, transforms, listed: None, places, used: 0 };
    writer
        .whole(scope, generation)
        .map_err(|fault| StorageError::Unsupported { format: "dcp", what: fault.to_string() })?;
    Ok(writer.pickler.finish())
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}: no rank says where all of it lies")]
    NoPlace(Fqn),
    #[error("{0} places of nothing that is in the plan")]
    Left(usize),
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

struct IndexWriter<'t> {
    pickler: Pickler,
    /// Offsets and extents, of which there are few different ones.
    sizes: HashMap<Box<[u64]>, Slot>,
    properties: HashMap<DType, Slot>,
    transforms: &'t [String],
    /// The list of them, once it was written.
    listed: Option<Slot>,
    places: &'t Places,
    /// How many of the places.
    used: usize,
}

impl IndexWriter<'_> {
    fn whole(&mut self, scope: &Scope<'_>, generation: Generation) -> Result<(), Fault> {
        self.object(METADATA, "Metadata");
        self.pickler.text("state_dict_metadata")?;
        self.dict(scope, |writer, number, fqn, entry| {
            writer.pickler.text(fqn.as_str())?;
            match &entry.kind {
                EntryKind::Tensor(tensor) => writer.tensor(tensor, scope.chunks(number, tensor)),
                _ => {
                    writer.empty_object(METADATA, "BytesStorageMetadata");
                    Ok(())
                }
            }
        })?;
        self.pickler.text("planner_data")?;
        self.dict(scope, |writer, _, fqn, entry| {
            writer.pickler.text(fqn.as_str())?;
            writer.path(&entry.path)
        })?;
        self.pickler.text("storage_data")?;
        self.dict(scope, |writer, number, fqn, entry| match &entry.kind {
            EntryKind::Tensor(tensor) => (0..).zip(scope.chunks(number, tensor)).try_for_each(|(index, chunk)| {
                if chunk.is_empty() { Ok(()) } else { writer.place(number, fqn, Some((index, chunk.offsets()))) }
            }),
            _ => writer.place(number, fqn, None),
        })?;
        let left = self.places.items.len().saturating_sub(self.used);
        if left > 0 && scope.rank.is_none() {
            return Err(Fault::Left(left));
        }
        self.pickler.text("storage_meta")?;
        self.storage_meta(generation)?;
        self.pickler.text("version")?;
        self.pickler.text("1.0.0")?;
        self.filled();
        Ok(())
    }

    fn tensor(&mut self, tensor: &TensorEntry, chunks: Vec<Region>) -> Result<(), Fault> {
        self.object(METADATA, "TensorStorageMetadata");
        self.pickler.text("properties")?;
        self.properties(tensor.dtype)?;
        self.pickler.text("size")?;
        self.size(tensor.shape.dims());
        self.pickler.text("chunks")?;
        self.pickler.empty_list();
        self.pickler.mark();
        for chunk in chunks {
            self.object(METADATA, "ChunkStorageMetadata");
            self.pickler.text("offsets")?;
            self.size(chunk.offsets());
            self.pickler.text("sizes")?;
            self.size(chunk.sizes());
            self.filled();
        }
        self.pickler.append_all();
        self.filled();
        Ok(())
    }

    /// The state of `TensorProperties` is a tuple: dtype, layout, `requires_grad`, memory format, `pin_memory`. Newer releases have a
    /// sixth, the strides, and do without; older ones take no more than five.
    fn properties(&mut self, dtype: DType) -> Result<(), Fault> {
        if let Some(slot) = self.properties.get(&dtype) {
            self.pickler.fetch(*slot);
            return Ok(());
        }
        self.empty_object(METADATA, "TensorProperties");
        self.pickler.mark();
        self.pickler.global("torch", dtype.name());
        self.pickler.global("torch.serialization", "_get_layout");
        self.pickler.text("torch.strided")?;
        self.pickler.tuple(1);
        self.pickler.reduce();
        self.pickler.bool(false);
        self.pickler.global(METADATA, "_MEM_FORMAT_ENCODING");
        self.pickler.int(0);
        self.pickler.tuple(1);
        self.pickler.reduce();
        self.pickler.bool(false);
        self.pickler.tuple(5);
        self.pickler.build();
        let slot = self.pickler.memoise();
        self.properties.insert(dtype, slot);
        Ok(())
    }

    /// The steps that lead to an entry. Keys become text, as PyTorch has them.
    fn path(&mut self, path: &StatePath) -> Result<(), Fault> {
        let segments = path.segments();
        if segments.len() > 3 {
            self.pickler.mark();
        }
        for segment in segments {
            match segment {
                Segment::Key(DictKey::Str(key)) => self.pickler.text(key)?,
                Segment::Key(DictKey::Int(key)) => self.pickler.text(&key.to_string())?,
                Segment::Item(number) | Segment::TupleItem(number) => self.pickler.int(i64::from(*number)),
            }
        }
        self.pickler.tuple(segments.len());
        Ok(())
    }

    fn place(&mut self, number: usize, fqn: &Fqn, chunk: Option<(i64, &[u64])>) -> Result<(), Fault> {
        let key = (number, chunk.map(|(_, offsets)| offsets.to_vec()));
        let item = *self.places.items.get(&key).ok_or_else(|| Fault::NoPlace(fqn.clone()))?;
        self.used += 1;
        self.object(METADATA, "MetadataIndex");
        self.pickler.text("fqn")?;
        self.pickler.text(fqn.as_str())?;
        self.pickler.text("index")?;
        match chunk {
            None => self.pickler.none(),
            Some((index, offsets)) => {
                self.pickler.int(index);
                self.pickler.text("offset")?;
                self.size(offsets);
            }
        }
        self.filled();
        self.object(FILESYSTEM, "_StorageInfo");
        self.pickler.text("relative_path")?;
        self.pickler.text(self.places.files[item.file].as_str())?;
        self.pickler.text("offset")?;
        self.number(item.offset);
        self.pickler.text("length")?;
        self.number(item.length);
        if !self.transforms.is_empty() {
            self.pickler.text("transform_descriptors")?;
            self.transforms()?;
        }
        self.filled();
        Ok(())
    }

    fn transforms(&mut self) -> Result<(), Fault> {
        if let Some(slot) = self.listed {
            self.pickler.fetch(slot);
            return Ok(());
        }
        self.pickler.empty_list();
        self.pickler.mark();
        for descriptor in self.transforms {
            self.pickler.text(descriptor)?;
        }
        self.pickler.append_all();
        self.listed = Some(self.pickler.memoise());
        Ok(())
    }

    fn storage_meta(&mut self, generation: Generation) -> Result<(), Fault> {
        self.object(METADATA, "StorageMeta");
        self.pickler.text("checkpoint_id")?;
        self.pickler.none();
        self.pickler.text("save_id")?;
        self.pickler.text(&save_id(generation))?;
        self.pickler.text("load_id")?;
        self.pickler.none();
        self.pickler.text("modules")?;
        self.pickler.empty_list();
        self.filled();
        Ok(())
    }

    fn size(&mut self, extents: &[u64]) {
        if let Some(slot) = self.sizes.get(extents) {
            return self.pickler.fetch(*slot);
        }
        self.pickler.global("torch", "Size");
        if extents.len() > 3 {
            self.pickler.mark();
        }
        extents.iter().for_each(|extent| self.number(*extent));
        self.pickler.tuple(extents.len());
        self.pickler.tuple(1);
        self.pickler.reduce();
        let slot = self.pickler.memoise();
        self.sizes.insert(extents.into(), slot);
    }

    fn number(&mut self, number: u64) {
        match i64::try_from(number) {
            Ok(number) => self.pickler.int(number),
            Err(_) => self.pickler.long(&i128::from(number).to_le_bytes()),
        }
    }

    /// A dict of something for each entry.
    fn dict(
        &mut self,
        scope: &Scope<'_>,
        mut item: impl FnMut(&mut Self, usize, &Fqn, &Entry) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.pickler.empty_dict();
        self.pickler.mark();
        for (number, fqn, entry) in scope.entries() {
            item(self, number, fqn, entry)?;
        }
        self.pickler.set_items();
        Ok(())
    }

    /// The beginning of an object with attributes, up to [`filled`](Self::filled).
    fn object(&mut self, module: &'static str, class: &'static str) {
        self.empty_object(module, class);
        self.pickler.empty_dict();
        self.pickler.mark();
    }

    fn empty_object(&mut self, module: &'static str, class: &'static str) {
        self.pickler.global(module, class);
        self.pickler.new_object();
    }

    fn filled(&mut self) {
        self.pickler.set_items();
        self.pickler.build();
    }
}
