//! What a plan says of the leaves of the state, however many ranks there are.

use std::collections::BTreeMap;

use crate::{DType, Entry, EntryKind, Fqn, Metadata, Shape};

/// The leaves of a saved tree, in the order of the metadata, without how tensors are cut: what every rank needs to know of all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    entries: Vec<(Fqn, Entry<TensorType>)>,
    ties: BTreeMap<usize, usize>,
}

/// What a tensor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// The element type.
    pub dtype: DType,
    /// The extents of the whole tensor.
    pub shape: Shape,
}

impl Outline {
    /// Of what a checkpoint will hold, with [ties](crate::GlobalPlan::ties).
    pub(super) fn of(metadata: &Metadata, ties: &BTreeMap<usize, usize>) -> Self {
        let leaf = |(fqn, entry): (&Fqn, &Entry)| {
            let kind = match &entry.kind {
                EntryKind::Tensor(tensor) => {
                    EntryKind::Tensor(TensorType { dtype: tensor.dtype, shape: tensor.shape.clone() })
                }
                EntryKind::Value => EntryKind::Value,
                EntryKind::Object => EntryKind::Object,
            };
            (fqn.clone(), Entry { path: entry.path.clone(), kind })
        };
        Self { entries: metadata.entries().map(leaf).collect(), ties: ties.clone() }
    }

    pub(super) fn new(entries: Vec<Entry<TensorType>>, ties: BTreeMap<usize, usize>) -> Self {
        Self { entries: entries.into_iter().map(|entry| (entry.path.fqn(), entry)).collect(), ties }
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
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Fqn, &Entry<TensorType>)> {
        self.entries.iter().map(|(fqn, entry)| (fqn, entry))
    }

    /// The leaf with a number.
    #[must_use]
    pub fn entry(&self, number: usize) -> Option<(&Fqn, &Entry<TensorType>)> {
        self.entries.get(number).map(|(fqn, entry)| (fqn, entry))
    }

    /// The tensor with a number.
    #[must_use]
    pub fn tensor(&self, number: usize) -> Option<&TensorType> {
        self.entries.get(number)?.1.as_tensor()
    }

    /// The name of the leaf with a number, to be told; `?` if there is none.
    #[must_use]
    pub fn name(&self, number: usize) -> Fqn {
        self.entries.get(number).map_or("?".into(), |(fqn, _)| fqn.clone())
    }

    /// The leaves that are other names of tensors, with the leaves of these, as [`GlobalPlan::ties`](crate::GlobalPlan::ties).
    #[must_use]
    pub fn ties(&self) -> &BTreeMap<usize, usize> {
        &self.ties
    }
}

impl TensorType {
    /// The size of the whole tensor in bytes.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        self.shape.numel() * self.dtype.size()
    }
}
