//! The strategies make what they say, odd cases included.

use std::collections::BTreeSet;

use dcp_types::{ChunkList, DeviceMesh, Placement, Sharding, strategies};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

/// Whether some of many made are as asked.
fn some<S: Strategy>(strategy: &S, wanted: impl Fn(&S::Value) -> bool) -> bool {
    let mut runner = TestRunner::deterministic();
    (0..600).any(|_| wanted(&strategy.new_tree(&mut runner).expect("makes one").current()))
}

proptest! {
    #[test]
    fn bounds_are_kept(mesh in strategies::sub_meshes(24), shape in strategies::shapes_up_to(3, 5)) {
        prop_assert!(mesh.ranks().all(|rank| rank < 24) && (1..=4).contains(&mesh.shape().len()));
        prop_assert!(shape.dims().len() <= 3 && shape.dims().iter().all(|&extent| extent <= 5));
    }

    #[test]
    fn specs_cover_the_tensor(
        (shape, specs) in strategies::shapes().prop_flat_map(|shape| {
            let specs = strategies::tensor_specs(&shape, 9);
            (Just(shape), specs)
        }),
    ) {
        prop_assert_eq!(specs.len(), 9);
        let mut parts = BTreeSet::new();
        for (rank, spec) in (0..).zip(&specs) {
            prop_assert_eq!(spec.shape(), &shape);
            for part in spec.parts(rank) {
                prop_assert_eq!(spec.part(rank, &part.region), Some(part.clone()));
                parts.insert(part.region);
            }
        }
        // What a rank does not hold as such is no part of it: not even what it holds more of.
        for (rank, spec) in (0..).zip(&specs) {
            let held: BTreeSet<_> = spec.parts(rank).into_iter().map(|part| part.region).collect();
            let cut = parts.iter().filter(|part| part.ndim() > 0).map(|part| part.split(0, part.end(0) - 1).0);
            for region in parts.iter().cloned().chain(cut) {
                prop_assert_eq!(spec.part(rank, &region).is_some(), held.contains(&region), "{}", region);
            }
        }
        let tiles = ChunkList::new(&shape, parts.into_iter().collect());
        prop_assert!(tiles.is_ok(), "{:?}", tiles);
    }
}

#[test]
fn odd_cases_are_made() {
    let shapes = strategies::shapes();
    assert!(some(&shapes, |shape| shape.dims().is_empty()));
    assert!(some(&shapes, |shape| shape.numel() == 0));
    let meshes = strategies::sub_meshes(64);
    assert!(some(&meshes, |mesh| mesh.size() > 32));
    assert!(some(&meshes, |mesh| !mesh.names().is_empty()));
    assert!(some(&meshes, |mesh| mesh.size() > 3 && *mesh != DeviceMesh::new(mesh.shape().to_vec()).expect("mesh")));
    let grids = shapes.prop_flat_map(|shape| strategies::shard_grids(&shape, 64));
    assert!(some(&grids, |grid| grid.replicas() > 1 && grid.replicas() < grid.mesh().size()));
    assert!(some(&grids, |grid| grid.mesh().ranks().any(|rank| grid.held_by(rank).len() > 1)));
    assert!(some(&grids, |grid| {
        let placements = grid.placements();
        let fsdp = |at: usize| match (placements[at], placements[at + 1]) {
            (Placement::StridedShard { dim, split_factor }, Placement::Shard(inner)) => {
                dim == inner && split_factor > 1 && split_factor == grid.mesh().shape()[at + 1]
            }
            _ => false,
        };
        (0..placements.len() - 1).any(fsdp)
    }));
    let tilings = strategies::shapes().prop_flat_map(|shape| strategies::tilings(&shape, 8));
    assert!(some(&tilings, |tiling| tiling.pieces.iter().any(|(_, ranks)| ranks.len() > 1)));
    assert!(some(&tilings, is_uncuttable));
    let specs = strategies::tensor_specs(&dcp_types::Shape::new([4, 4]).expect("shape"), 4);
    assert!(some(&specs, |specs| *specs[0].sharding() == Sharding::Replicated));
    assert!(some(&specs, |specs| matches!(specs[0].sharding(), Sharding::Mesh(_))));
    assert!(some(&specs, |specs| matches!(specs[0].sharding(), Sharding::Regions(_))));
}

/// Whether no plane goes through the tensor without going through a region: a pinwheel.
fn is_uncuttable(tiling: &strategies::Tiling) -> bool {
    let regions = tiling.regions();
    let spares = |dim: usize, at: u64| !regions.iter().any(|region| region.offsets()[dim] < at && at < region.end(dim));
    regions.len() > 1
        && (0..tiling.shape.dims().len()).all(|dim| (1..tiling.shape.dims()[dim]).all(|at| !spares(dim, at)))
}

#[test]
fn a_failing_tiling_shrinks_to_few_cuts() {
    let shape = dcp_types::Shape::new([8, 8]).expect("shape");
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let failed = runner.run(&strategies::tilings(&shape, 64), |tiling| {
        prop_assert!(tiling.pieces.len() < 3);
        Ok(())
    });
    match failed {
        Err(TestError::Fail(_, tiling)) => {
            assert!(tiling.pieces.len() <= 5, "{tiling:?}");
            assert!(tiling.pieces.iter().all(|(_, ranks)| ranks.first() == Some(0)), "{tiling:?}");
        }
        other => panic!("{other:?}"),
    }
}
