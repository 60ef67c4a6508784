//! What can be wrong with shapes, regions, meshes, names and trees.

use crate::{DType, Fqn, Region, StatePath};

/// A description that contradicts itself or another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypesError {
    /// No dtype has this name.
    #[error("unknown dtype {0:?}")]
    UnknownDType(String),
    /// More dimensions than any framework has.
    #[error("{0} dimensions, but at most {max} are possible", max = crate::Shape::MAX_DIMS)]
    TooManyDims(usize),
    /// A shape or region with so many elements that their bytes could not be counted.
    #[error("the extents {0:?} overflow")]
    TooLarge(Vec<u64>),
    /// Two things that must have equally many dimensions do not.
    #[error("{what}: expected {expected} dimensions, found {found}")]
    DimsMismatch {
        /// What was looked at.
        what: &'static str,
        /// How many dimensions it should have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// A region reaches out of what it should lie in.
    #[error("region {region} is not inside {extents:?}")]
    OutOfBounds {
        /// The region.
        region: Region,
        /// The extents it should fit.
        extents: Vec<u64>,
    },
    /// A local buffer of another shape than its part of the tensor.
    #[error("the local buffer has shape {found:?}, but this part of the tensor has {expected:?}")]
    LocalShape {
        /// The shape that the sharding gives this rank.
        expected: Vec<u64>,
        /// The shape of the buffer.
        found: Vec<u64>,
    },
    /// A buffer of another dtype than the tensor.
    #[error("the buffer holds {found}, but the tensor is {expected}")]
    LocalDType {
        /// The tensor's dtype.
        expected: DType,
        /// The buffer's dtype.
        found: DType,
    },
    /// A byte buffer of the wrong length.
    #[error("the buffer has {found} bytes, but {expected} are needed")]
    BufferLength {
        /// Bytes that shape and dtype need.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// Tensors inside a value that are too large for one.
    #[error("tensors of {bytes} bytes inside a value, but at most {limit} are possible")]
    TensorTooLarge {
        /// Bytes that they show.
        bytes: u64,
        /// Bytes that are possible.
        limit: u64,
    },
    /// A region is laid flat into a buffer that is not one contiguous row.
    #[error("a flat buffer must have one dimension and be contiguous")]
    NotFlat,
    /// Strides under which elements overlap, or do not lie in ascending order.
    #[error("the strides {0:?} do not lead to elements in ascending order, each for itself")]
    Strides(Vec<u64>),
    /// An order of dimensions that does not name each of them once.
    #[error("{0:?} is not an order of the dimensions")]
    Order(Vec<usize>),
    /// A mesh that is none.
    #[error("not a device mesh: {0}")]
    Mesh(String),
    /// A placement that does not fit its tensor or mesh.
    #[error("placement {placement} does not fit: {reason}")]
    Placement {
        /// The placement.
        placement: crate::Placement,
        /// Why not.
        reason: &'static str,
    },
    /// Two regions of one tensor overlap.
    #[error("the regions {} and {} overlap", .0.0, .0.1)]
    Overlap(Box<(Region, Region)>),
    /// The regions of a tensor leave a part of it uncovered.
    #[error("the regions cover {covered} of {total} elements")]
    Hole {
        /// Elements covered.
        covered: u64,
        /// Elements of the tensor.
        total: u64,
    },
    /// Two places of a tree flatten to the same name.
    #[error("{first} and {second} both have the name {fqn:?}")]
    NameCollision {
        /// The name.
        fqn: Fqn,
        /// The first place.
        first: StatePath,
        /// The second place.
        second: StatePath,
    },
    /// Paths that cannot belong to one tree: a node that is a leaf and a container, or two kinds of container.
    #[error("{path} does not fit into the tree: {reason}")]
    Tree {
        /// The place.
        path: StatePath,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Something nested more deeply than can be handled safely.
    #[error("nested more than {0} levels deep")]
    TooDeep(usize),
    /// The ranks that are to write an entry do not match the chunks that it has.
    #[error("{0}: the owners do not match the chunks")]
    Owners(Fqn),
    /// A tensor that cannot be another name of an entry: of another dtype or shape, or that is another name itself.
    #[error("{0} is no other name of the tensor that it is said to be tied to")]
    Tied(Fqn),
    /// Bytes that do not decode.
    #[error("cannot decode {what}: {reason}")]
    Decode {
        /// What they should be.
        what: &'static str,
        /// What the decoder says.
        reason: String,
    },
}

impl From<std::convert::Infallible> for TypesError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
