//! What a checkpoint holds.

use indexmap::IndexMap;

use crate::{Chunk, Chunks, DType, Fqn, Region, Shape, StatePath, TypesError};

/// The logical content of a checkpoint: every tensor and value, by name. Where their bytes lie is the format's business.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    entries: IndexMap<Fqn, Entry>,
}

/// One leaf of the state tree. Where it does not matter how tensors are cut, `T` is a [`TensorType`](crate::TensorType).
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<T = TensorEntry> {
    /// Its place in the tree.
    pub path: StatePath,
    /// What it is.
    pub kind: EntryKind<T>,
}

/// What a leaf is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EntryKind<T = TensorEntry> {
    /// A tensor.
    Tensor(T),
    /// A plain value.
    Value,
    /// A value with a foreign object in it that only its own language can decode.
    Object,
}

/// A tensor in a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorEntry {
    /// The element type.
    pub dtype: DType,
    /// The extents of the whole tensor.
    pub shape: Shape,
    /// How it is cut into what is stored.
    pub chunks: Chunks,
}

impl Metadata {
    /// The content made of these leaves.
    ///
    /// # Errors
    /// [`TypesError::NameCollision`] if two places have one name.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Result<Self, TypesError> {
        let mut metadata = Self::default();
        for entry in entries {
            let fqn = entry.path.fqn();
            if let Some(first) = metadata.entries.get(&fqn) {
                let (first, second) = (first.path.clone(), entry.path);
                return Err(TypesError::NameCollision { fqn, first, second });
            }
            metadata.entries.insert(fqn, entry);
        }
        Ok(metadata)
    }

    /// How many leaves there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no leaves.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every leaf with its name, in the order of the saved tree.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Fqn, &Entry)> {
        self.entries.iter()
    }

    /// The leaf with a name, and its number.
    #[must_use]
    pub fn find(&self, fqn: &str) -> Option<(usize, &Entry)> {
        self.entries.get_full(fqn).map(|(number, _, entry)| (number, entry))
    }

    /// The leaf with a number.
    #[must_use]
    pub fn entry(&self, number: usize) -> Option<(&Fqn, &Entry)> {
        self.entries.get_index(number)
    }

    /// The tensor with a name.
    #[must_use]
    pub fn tensor(&self, fqn: &str) -> Option<&TensorEntry> {
        self.entries.get(fqn).and_then(Entry::as_tensor)
    }
}

impl<T> Entry<T> {
    /// The tensor, if this is one.
    #[must_use]
    pub fn as_tensor(&self) -> Option<&T> {
        match &self.kind {
            EntryKind::Tensor(tensor) => Some(tensor),
            EntryKind::Value | EntryKind::Object => None,
        }
    }
}

impl TensorEntry {
    /// The chunks that share an element with a region.
    #[must_use]
    pub fn chunks_meeting(&self, region: &Region) -> Vec<Chunk> {
        self.chunks.meeting(&self.shape, region)
    }

    /// Every chunk, one after the other.
    pub fn all_chunks(&self) -> impl Iterator<Item = Chunk> + '_ {
        self.chunks.iter(&self.shape)
    }

    /// How many chunks there are.
    #[must_use]
    pub fn chunk_count(&self) -> u64 {
        self.chunks.count(&self.shape)
    }

    /// The size of the whole tensor in bytes.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        self.shape.numel() * self.dtype.size()
    }
}
