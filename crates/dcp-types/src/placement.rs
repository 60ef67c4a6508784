//! How a tensor lies over one dimension of a mesh.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What one mesh dimension does to a tensor, as in PyTorch's DTensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Placement {
    /// Every rank along the mesh dimension has the same.
    #[serde(rename = "r")]
    Replicate,
    /// The tensor dimension is cut into as many chunks as there are ranks, by `torch.chunk`'s rule:
    /// all but the last have `ceil(size / ranks)` elements; the last ones may be smaller or empty.
    #[serde(rename = "s")]
    Shard(u32),
    /// `_StridedShard`: a shard of a tensor dimension that a *later* mesh dimension has cut first (FSDP over tensor parallelism).
    #[serde(rename = "t")]
    StridedShard {
        /// The tensor dimension.
        dim: u32,
        /// Into how many parts the dimension is cut before each is sharded.
        split_factor: u32,
    },
}

impl Placement {
    /// The tensor dimension that is cut, if one is.
    #[must_use]
    pub fn dim(self) -> Option<usize> {
        match self {
            Self::Replicate => None,
            Self::Shard(dim) | Self::StridedShard { dim, .. } => Some(dim as usize),
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replicate => f.write_str("Replicate()"),
            Self::Shard(dim) => write!(f, "Shard({dim})"),
            Self::StridedShard { dim, split_factor } => write!(f, "StridedShard({dim}, {split_factor})"),
        }
    }
}
