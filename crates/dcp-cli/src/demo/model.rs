//! The state that the demo saves: tensors in memory, and values.

use dcp::crates::dcp_types::reexports::bytes::Bytes;
use dcp::crates::dcp_types::{Segment, StatePath};
use dcp::{DType, DictKey, Fqn, Shape, TypesError, Value, View};

/// A model, and what belongs to its training.
#[derive(Debug)]
pub(super) struct Model {
    /// What it is, for people.
    pub(super) title: String,
    /// Everything in it, in order.
    pub(super) leaves: Vec<(StatePath, Leaf)>,
}

#[derive(Debug)]
pub(super) enum Leaf {
    Tensor(Tensor),
    Value(Value),
}

/// A whole tensor: row-major, little-endian.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) dtype: DType,
    pub(super) shape: Shape,
    pub(super) bytes: Bytes,
}

impl Model {
    /// Every tensor with its name.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (Fqn, &Tensor)> {
        self.leaves.iter().filter_map(|(path, leaf)| match leaf {
            Leaf::Tensor(tensor) => Some((path.fqn(), tensor)),
            Leaf::Value(_) => None,
        })
    }

    /// Every value with its place.
    pub(super) fn values(&self) -> impl Iterator<Item = (&StatePath, &Value)> {
        self.leaves.iter().filter_map(|(path, leaf)| match leaf {
            Leaf::Tensor(_) => None,
            Leaf::Value(value) => Some((path, value)),
        })
    }

    /// The size of all tensors together in bytes.
    pub(super) fn nbytes(&self) -> u64 {
        self.tensors().map(|(_, tensor)| tensor.bytes.len() as u64).sum()
    }
}

impl Tensor {
    pub(super) fn view(&self) -> Result<View<'_>, TypesError> {
        View::from_bytes(self.dtype, self.shape.dims(), &self.bytes)
    }
}

/// A place in the tree of the state: a dict's key or a list's number at each step.
pub(super) fn path<const N: usize>(steps: [Step<'_>; N]) -> StatePath {
    let segment = |step| match step {
        Step::Key(key) => Segment::Key(DictKey::from(key)),
        Step::Item(number) => Segment::Item(number),
    };
    StatePath::new(steps.into_iter().map(segment).collect())
}

/// A step of a [`path`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Item(u32),
}
