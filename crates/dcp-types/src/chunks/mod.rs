//! How a tensor is cut into the chunks that are stored.

mod box_tree;
mod cells;
mod dim;
mod grid;
mod list;
mod walk;

pub use grid::{HeldRegion, ShardGrid};
pub use list::ChunkList;

use crate::{Region, Shape};

/// The chunks of a tensor. They tile it: every element is in exactly one.
///
/// Nobody holds a list of all chunks of a sharded tensor; a `Chunks` answers queries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chunks {
    /// One chunk: the whole tensor.
    Whole,
    /// The shards of a mesh.
    Grid(ShardGrid),
    /// Listed regions.
    List(ChunkList),
}

/// One chunk of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// What it covers, in the tensor's coordinates. Never empty.
    pub region: Region,
    /// Its number in a [`Chunks::List`]; 0 otherwise.
    pub number: u32,
}

impl Chunks {
    /// The chunks of a tensor of the given shape that share an element with `region`.
    pub(crate) fn meeting(&self, shape: &Shape, region: &Region) -> Vec<Chunk> {
        let unnumbered = |region| Chunk { region, number: 0 };
        match self {
            Self::Whole => {
                let whole = Region::full(shape);
                let meets = whole.intersect(region).is_some();
                meets.then(|| unnumbered(whole)).into_iter().collect()
            }
            Self::Grid(grid) => grid.meeting(region).into_iter().map(unnumbered).collect(),
            Self::List(list) => {
                let chunk = |number| Chunk { region: list.regions()[number as usize].clone(), number };
                list.meeting(region).into_iter().map(chunk).collect()
            }
        }
    }
}
