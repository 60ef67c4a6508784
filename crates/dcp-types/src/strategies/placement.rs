//! Placements.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::prop_oneof;
use proptest::strategy::{BoxedStrategy, Just, Strategy};

use crate::{DeviceMesh, Placement, Shape, ShardGrid};

/// One placement per mesh dimension that fit a tensor of this shape: plain ones, the `StridedShard` of FSDP over tensor
/// parallelism, and `StridedShard`s that no framework makes.
pub fn placements(shape: &Shape, mesh: &DeviceMesh) -> BoxedStrategy<Vec<Placement>> {
    let dims = shape.dims().len() as u32;
    let ways = mesh.shape().to_vec();
    if dims == 0 {
        return Just(vec![Placement::Replicate; ways.len()]).boxed();
    }
    let plain = prop_oneof![1 => Just(Placement::Replicate), 3 => (0..dims).prop_map(Placement::Shard)];
    let strided = (0..dims, 1..=6u32).prop_map(|(dim, split_factor)| Placement::StridedShard { dim, split_factor });
    let odd = prop_oneof![plain.clone(), strided];
    prop_oneof![
        vec(plain.clone(), ways.len()),
        vec(odd, ways.len()),
        vec(plain, ways.len()).prop_map(move |plain| innermost_first(plain, &ways)),
    ]
    .boxed()
}

/// Tensors of this shape over meshes of ranks below `world`.
///
/// # Panics
/// As [`meshes`](super::meshes).
pub fn shard_grids(shape: &Shape, world: u32) -> impl Strategy<Value = ShardGrid> + Clone + use<> {
    let shape = shape.clone();
    super::sub_meshes(world).prop_flat_map(move |mesh| {
        let (shape, mesh, placements) = (shape.clone(), Arc::new(mesh.clone()), placements(&shape, &mesh));
        placements.prop_map(move |placements| {
            ShardGrid::new(shape.clone(), Arc::clone(&mesh), placements).expect("placements that fit")
        })
    })
}

/// The same shards, but where several mesh dimensions cut one tensor dimension, the last of them cuts first.
fn innermost_first(mut placements: Vec<Placement>, ways: &[u32]) -> Vec<Placement> {
    for at in 0..placements.len() {
        let Placement::Shard(dim) = placements[at] else { continue };
        let later = (at + 1..ways.len()).filter(|&later| placements[later] == Placement::Shard(dim));
        let later: Vec<u32> = later.map(|later| ways[later]).collect();
        if !later.is_empty() {
            placements[at] = Placement::StridedShard { dim, split_factor: later.iter().product() };
        }
    }
    placements
}
