//! The chunks of a tensor, one after the other: there may be millions.

use super::{Chunk, Chunks, ShardGrid};
use crate::{Region, Shape};

impl Chunks {
    /// How many chunks a tensor of the given shape has.
    pub(crate) fn count(&self, shape: &Shape) -> u64 {
        match self {
            Self::Grid(grid) => cuts(grid).iter().map(|pieces| pieces.len() as u64).product(),
            Self::List(list) => list.regions().len() as u64,
            Self::Whole => u64::from(shape.numel() > 0),
        }
    }

    /// Every chunk of a tensor of the given shape, in the order of [`meeting`](Self::meeting). Holds none of them.
    pub(crate) fn iter<'a>(&'a self, shape: &Shape) -> Box<dyn Iterator<Item = Chunk> + 'a> {
        match self {
            Self::Grid(grid) => {
                let cuts = cuts(grid);
                let chunks = cuts.iter().map(|pieces| pieces.len() as u64).product();
                Box::new((0..chunks).filter_map(move |number| grid_chunk(&cuts, number)))
            }
            Self::List(list) => {
                let numbered = (0..).zip(list.regions());
                Box::new(numbered.map(|(number, region)| Chunk { region: region.clone(), number }))
            }
            Self::Whole => Box::new(self.meeting(shape, &Region::full(shape)).into_iter()),
        }
    }
}

/// Where a grid cuts each dimension: the start and length of each piece. Its chunks are all combinations of them.
fn cuts(grid: &ShardGrid) -> Vec<Vec<(u64, u64)>> {
    let extents = grid.shape().dims();
    let along = |dim: usize| {
        let mut at = vec![0; extents.len()];
        std::iter::from_fn(move || {
            let chunk = grid.chunk_at(&at)?;
            at[dim] = chunk.end(dim);
            Some((chunk.offsets()[dim], chunk.sizes()[dim]))
        })
    };
    (0..extents.len()).map(|dim| along(dim).collect()).collect()
}

/// A chunk by its row-major number.
fn grid_chunk(cuts: &[Vec<(u64, u64)>], mut number: u64) -> Option<Chunk> {
    let mut pieces = Vec::with_capacity(cuts.len());
    for along in cuts.iter().rev() {
        pieces.push(along[(number % along.len() as u64) as usize]);
        number /= along.len() as u64;
    }
    let pieces = || pieces.iter().rev();
    let region = Region::new(pieces().map(|piece| piece.0), pieces().map(|piece| piece.1)).ok()?;
    Some(Chunk { region, number: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChunkList, DeviceMesh, Placement};
    use std::sync::Arc;

    fn check(mesh: &[u32], shape: &[u64], placements: &[Placement], expected: u64) {
        let shape = Shape::new(shape.iter().copied()).expect("shape");
        let mesh = Arc::new(DeviceMesh::new(mesh.iter().copied()).expect("mesh"));
        let grid = ShardGrid::new(shape.clone(), mesh, placements.to_vec()).expect("grid");
        let chunks = Chunks::Grid(grid);
        let walked: Vec<Chunk> = chunks.iter(&shape).collect();
        assert_eq!(walked, chunks.meeting(&shape, &Region::full(&shape)));
        assert_eq!((chunks.count(&shape), walked.len() as u64), (expected, expected));
    }

    #[test]
    fn a_walk_meets_every_chunk() {
        use Placement::{Replicate, Shard};
        let strided = |split_factor| Placement::StridedShard { dim: 0, split_factor };
        check(&[4, 2], &[37, 29], &[Shard(0), Shard(1)], 8);
        check(&[4, 2], &[37, 29], &[Shard(1), Shard(1)], 8);
        check(&[4, 2], &[37, 29], &[strided(2), Shard(0)], 8);
        check(&[4], &[37, 29], &[strided(3)], 12);
        check(&[4, 2], &[3], &[Shard(0), Replicate], 3);
        check(&[4, 2], &[], &[Replicate, Replicate], 1);
        check(&[4, 2], &[5, 0], &[Shard(0), Shard(1)], 0);
    }

    #[test]
    fn listed_chunks_keep_their_numbers() {
        let shape = Shape::new([5]).expect("shape");
        let regions = [Region::new([3], [2]), Region::new([0], [3])].map(|region| region.expect("region"));
        let list = ChunkList::new(&shape, regions.to_vec()).expect("tiles");
        let chunks = Chunks::List(list);
        let walked: Vec<Chunk> = chunks.iter(&shape).collect();
        assert_eq!(walked, chunks.meeting(&shape, &Region::full(&shape)));
        assert_eq!(chunks.count(&shape), 2);
        let empty = Shape::new([3, 0]).expect("shape");
        for (shape, expected) in [(&shape, 1), (&empty, 0)] {
            assert_eq!((Chunks::Whole.count(shape), Chunks::Whole.iter(shape).count() as u64), (expected, expected));
        }
    }
}
