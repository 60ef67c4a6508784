//! What one rank reads.

use dcp_types::{Chunk, DType, Fqn, HeldPart, Region};

use crate::{EntrySet, Problem};

/// What one rank reads, and what it found not to fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadPlan {
    /// The tensors that it reads parts of.
    pub tensors: Vec<TensorRead>,
    /// The values that it reads.
    pub values: Vec<ValueRead>,
    /// The entries of the checkpoint that its target names, whether it reads of them or not.
    pub named: EntrySet,
    /// What does not fit.
    pub problems: Vec<Problem>,
}

/// The parts of one tensor that one rank reads into its buffer. A plan has one for each buffer that it fills, all of which it fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRead {
    /// Its name in the target.
    pub target: Fqn,
    /// The number of the entry in the checkpoint.
    pub entry: usize,
    /// The dtype in the checkpoint.
    pub stored: DType,
    /// The dtype of the buffer.
    pub wanted: DType,
    /// The parts that the rank holds, and what is read into each.
    pub parts: Vec<PartRead>,
}

/// One part of a tensor that a rank holds, and the reads that fill it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRead {
    /// The part, and where it stands in the rank's buffer.
    pub held: HeldPart,
    /// What fills it: each element of the part is in one of them.
    pub reads: Vec<RegionRead>,
}

/// What is read of one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionRead {
    /// The chunk.
    pub chunk: Chunk,
    /// What is read of it, in the tensor's coordinates. It lies in the chunk and in the part that is filled.
    pub region: Region,
}

/// One value that a rank reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueRead {
    /// Its name in the target.
    pub target: Fqn,
    /// The number of the entry in the checkpoint.
    pub entry: usize,
}
