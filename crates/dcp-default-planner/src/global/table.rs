//! Which rank holds which shard, for all tensors that a mesh shards over the same of its dimensions.

use dcp_types::{Placement, Rank, ShardGrid};

use super::classes::Classes;
use super::meshes::Mesh;

/// The positions of the ranks of a mesh, replica by replica. The shards of a replica are numbered row-major over
/// the mesh dimensions that shard.
pub(super) struct Table {
    positions: Vec<u32>,
    pub(super) shards: usize,
    /// Whether every rank of the mesh saves the tensor.
    pub(super) complete: bool,
    /// The coordinate of each shard in replica 0, one after the other.
    coordinates: Vec<u32>,
    ndim: usize,
}

/// A rank that does not save the tensor.
const ABSENT: u32 = u32::MAX;

impl Table {
    pub(super) fn new(mesh: &Mesh, placements: &[Placement], classes: &Classes<'_>) -> Self {
        let shape = mesh.mesh.shape();
        let replicated = |dim: usize| placements[dim] == Placement::Replicate;
        let extent = |dim: usize| shape[dim] as usize;
        let shards = (0..shape.len()).filter(|&dim| !replicated(dim)).map(extent).product();
        let replicas: usize = (0..shape.len()).filter(|&dim| replicated(dim)).map(extent).product();
        let mut positions = vec![ABSENT; shards * replicas];
        let mut coordinates = Vec::with_capacity(shards * shape.len());
        let mut ranks = mesh.mesh.ranks();
        for_each_coordinate(shape, |coordinate| {
            let (mut replica, mut shard) = (0, 0);
            for (dim, &at) in coordinate.iter().enumerate() {
                let number = if replicated(dim) { &mut replica } else { &mut shard };
                *number = *number * extent(dim) + at as usize;
            }
            if replica == 0 {
                coordinates.extend_from_slice(coordinate);
            }
            let saves = ranks.next().filter(|&rank| mesh.declared_by.contains(rank));
            positions[replica * shards + shard] = saves.and_then(|rank| classes.position(rank)).unwrap_or(ABSENT);
        });
        let complete = !positions.contains(&ABSENT);
        Self { positions, shards, complete, coordinates, ndim: shape.len() }
    }

    pub(super) fn replicas(&self) -> usize {
        self.positions.len() / self.shards
    }

    /// The positions of the ranks of a replica, by shard.
    pub(super) fn replica(&self, number: usize) -> &[u32] {
        &self.positions[number * self.shards..][..self.shards]
    }

    /// The number of elements of each shard of a tensor.
    pub(super) fn shard_sizes(&self, grid: &ShardGrid, sizes: &mut Vec<u64>) {
        sizes.clear();
        sizes.extend((0..self.shards).map(|shard| grid.held_at(&self.coordinates[shard * self.ndim..][..self.ndim])));
    }

    /// Whether a replica has all of a tensor whose shards have these sizes.
    pub(super) fn has_all(&self, replica: usize, sizes: &[u64]) -> bool {
        self.complete || missing(self.replica(replica), sizes).next().is_none()
    }

    /// The ranks that the most complete replica lacks.
    pub(super) fn lacking(&self, grid: &ShardGrid, sizes: &[u64]) -> Vec<Rank> {
        let count = |&replica: &usize| missing(self.replica(replica), sizes).count();
        let Some(best) = (0..self.replicas()).min_by_key(count) else { return Vec::new() };
        let lacking: Vec<usize> = missing(self.replica(best), sizes).collect();
        let mut of_replica = Vec::with_capacity(self.shards);
        let mut ranks = grid.mesh().ranks();
        for_each_coordinate(grid.mesh().shape(), |coordinate| {
            let rank = ranks.next();
            if grid.replica_at(coordinate) == best as u64 {
                of_replica.extend(rank);
            }
        });
        lacking.into_iter().map(|shard| of_replica[shard]).collect()
    }
}

/// The shards with something in them that no rank of a replica saves.
fn missing<'a>(replica: &'a [u32], sizes: &'a [u64]) -> impl Iterator<Item = usize> + 'a {
    (0..replica.len()).filter(|&shard| replica[shard] == ABSENT && sizes[shard] > 0)
}

/// In row-major order.
fn for_each_coordinate(shape: &[u32], mut visit: impl FnMut(&[u32])) {
    let mut coordinate = vec![0; shape.len()];
    loop {
        visit(&coordinate);
        let Some(dim) = (0..shape.len()).rev().find(|&dim| coordinate[dim] + 1 < shape[dim]) else { return };
        coordinate[dim] += 1;
        coordinate[dim + 1..].fill(0);
    }
}
