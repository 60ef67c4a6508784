//! Device meshes.

use proptest::collection::vec;
use proptest::prelude::{Just, any, prop_oneof};
use proptest::strategy::Strategy;

use crate::{DeviceMesh, Rank};

/// Whole worlds of 1 to 4 dimensions and up to `max_ranks` ranks, numbered from 0; some with named dimensions.
///
/// # Panics
/// If `max_ranks` is 0, or above [`DeviceMesh::MAX_RANKS`].
pub fn meshes(max_ranks: u32) -> impl Strategy<Value = DeviceMesh> + Clone {
    (mesh_shapes(max_ranks), any::<bool>()).prop_map(|(shape, named)| {
        let mesh = DeviceMesh::new(shape).expect("a mesh within bounds");
        if named { with_names(mesh) } else { mesh }
    })
}

/// Meshes of ranks below `world`: whole worlds, slices of them as `DeviceMesh.__getitem__` makes them, and any ranks
/// in any order.
///
/// # Panics
/// As [`meshes`].
pub fn sub_meshes(world: u32) -> impl Strategy<Value = DeviceMesh> + Clone {
    prop_oneof![meshes(world), slices(world), arbitrary(world)]
}

/// The ranks that agree in some coordinates of a larger mesh, the other dimensions in any order.
fn slices(world: u32) -> impl Strategy<Value = DeviceMesh> + Clone {
    let fixed = vec(any::<Option<u32>>(), 4);
    let order = Just(vec![0, 1, 2, 3]).prop_shuffle();
    (meshes(world), fixed, order).prop_map(|(whole, fixed, order)| {
        let dims = 0..whole.shape().len();
        let mut kept: Vec<usize> =
            order.into_iter().filter(|dim| dims.contains(dim) && fixed[*dim].is_none()).collect();
        if kept.is_empty() {
            kept.push(0);
        }
        let shape: Vec<u32> = kept.iter().map(|&dim| whole.shape()[dim]).collect();
        let mut at: Vec<u32> = dims.map(|dim| fixed[dim].unwrap_or(0) % whole.shape()[dim]).collect();
        let inner = DeviceMesh::new(shape.iter().copied()).expect("no larger than the whole");
        let ranks = inner.ranks().map(|position| {
            let coordinate = inner.coordinate_of(position).expect("its own rank");
            for (&dim, c) in kept.iter().zip(coordinate) {
                at[dim] = c;
            }
            whole.rank_at(&at)
        });
        DeviceMesh::of_ranks(shape, ranks.collect()).expect("distinct ranks")
    })
}

fn arbitrary(world: u32) -> impl Strategy<Value = DeviceMesh> + Clone {
    let ranks = Just((0..world).collect::<Vec<Rank>>()).prop_shuffle();
    (mesh_shapes(world), ranks).prop_map(|(shape, mut ranks)| {
        ranks.truncate(shape.iter().product::<u32>() as usize);
        DeviceMesh::of_ranks(shape, ranks).expect("distinct ranks")
    })
}

fn mesh_shapes(max_ranks: u32) -> impl Strategy<Value = Vec<u32>> + Clone {
    assert!((1..=DeviceMesh::MAX_RANKS).contains(&max_ranks.into()), "a mesh cannot have {max_ranks} ranks");
    let ways = prop_oneof![4 => 1..=4u32, 1 => 1..=max_ranks];
    vec(ways, 1..=4).prop_map(move |mut shape| {
        let mut left = max_ranks;
        for ways in &mut shape {
            *ways = (*ways).min(left);
            left /= *ways;
        }
        shape
    })
}

fn with_names(mesh: DeviceMesh) -> DeviceMesh {
    let names = ["pp", "dp", "cp", "tp"][4 - mesh.shape().len()..].to_vec();
    mesh.with_names(names).expect("one name per dimension")
}
