//! One plan out of what ranks see differently.

use std::sync::Arc;

use dcp_default_planner::DefaultSavePlanner;
use dcp_types::{Chunks, DeviceMesh, EntryKind, GlobalPlan, Opaque, Owners, Placement, Rank, Value};

use crate::support::*;

fn planned(states: &[(Rank, Named)]) -> GlobalPlan {
    plan(&DefaultSavePlanner::new(), states).expect("plan")
}

#[test]
fn entries_follow_the_coordinator_then_the_ranks() {
    let states = vec![
        (2, vec![("z", value(1)), ("shared", replicated(&[2])), ("a", value(2))]),
        (5, vec![("b", value(3)), ("shared", replicated(&[2])), ("late", replicated(&[1]))]),
        (7, vec![("a", value(2)), ("c", value(4))]),
    ];
    let plan = planned(&states);
    assert_eq!(names(&plan), ["z", "shared", "a", "late", "b", "c"]);
    assert_eq!(plan.owners()[5], Owners::One(7));
}

#[test]
fn a_mesh_for_each_row_becomes_one_mesh() {
    // 2 data-parallel rows, each with its own tensor-parallel mesh of 3 ranks.
    let row = |first: Rank| {
        let ranks = (first..first + 3).collect();
        Arc::new(DeviceMesh::of_ranks([3], ranks).and_then(|mesh| mesh.with_names(["tp"])).expect("mesh"))
    };
    let (top, bottom) = (row(0), row(3));
    let on = |mesh: &Arc<DeviceMesh>| {
        vec![
            ("up", sharded(&[6, 6], mesh, &[Placement::Shard(0)])),
            ("down", sharded(&[6, 6], mesh, &[Placement::Shard(1)])),
        ]
    };
    let states: Vec<_> = (0..6).map(|rank| (rank, on(if rank < 3 { &top } else { &bottom }))).collect();
    let plan = planned(&states);
    for name in ["up", "down"] {
        let Some(Chunks::Grid(grid)) = plan.metadata().tensor(name).map(|tensor| &tensor.chunks) else { panic!() };
        assert_eq!(grid.mesh().shape(), [2, 3]);
        assert_eq!(grid.mesh().names(), ["replicas", "tp"]);
        assert_eq!(grid.mesh().ranks().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(grid.placements()[0], Placement::Replicate);
    }
    // Each row writes one of them.
    assert_ne!(plan.owners()[0], plan.owners()[1]);
    assert!((0..6).all(|rank| plan.items_of(rank).len() == 1));
}

#[test]
fn meshes_that_share_a_rank_are_no_replicas() {
    let mesh = |ranks: [Rank; 2]| Arc::new(DeviceMesh::of_ranks([2], ranks.to_vec()).expect("mesh"));
    let on = |rank, mesh| (rank, vec![("w", sharded(&[4], &mesh, &[Placement::Shard(0)]))]);
    let states = vec![on(0, mesh([0, 1])), on(1, mesh([0, 1])), on(2, mesh([2, 1]))];
    let error = plan(&DefaultSavePlanner::new(), &states).expect_err("rank 1 is in both");
    assert_eq!((error.kind(), error.fqn().map(|fqn| fqn.as_str())), ("conflict", Some("w")));
    assert!(error.to_string().contains("{0..=1} on rank 0"), "{error}");
}

#[test]
fn a_replica_without_all_its_ranks_does_not_write() {
    // Ranks 0 and 1 of a (dp=2, tp=2) mesh save nothing: replica 1 writes all.
    let mesh = Arc::new(DeviceMesh::new([2, 2]).expect("mesh"));
    let tensor = sharded(&[4], &mesh, &[Placement::Replicate, Placement::Shard(0)]);
    let named = vec![("a", tensor.clone()), ("b", tensor)];
    let states: Vec<_> = (1..4).map(|rank| (rank, named.clone())).collect();
    assert_eq!(planned(&states).owners(), [Owners::Replica(1), Owners::Replica(1)]);
    // Rank 0 takes part, but it does not have them.
    let mut states = everywhere(4, &named);
    states[0].1.clear();
    assert_eq!(planned(&states).owners(), [Owners::Replica(1), Owners::Replica(1)]);
}

#[test]
fn foreign_objects_are_marked() {
    let opaque = Opaque { encoding: "torch-save".into(), bytes: vec![0x80].into(), globals: vec!["os.system".into()] };
    let states = vec![(0, vec![("o", value(Value::List(vec![Value::Opaque(opaque)]))), ("v", value(1))])];
    let plan = planned(&states);
    let kinds: Vec<_> = plan.metadata().entries().map(|(_, entry)| entry.kind.clone()).collect();
    assert_eq!(kinds, [EntryKind::Object, EntryKind::Value]);
}

#[test]
fn the_plan_does_not_depend_on_the_order_of_arrival() {
    let states: Vec<_> = (0..8u32)
        .map(|rank| {
            let private = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"][rank as usize];
            (rank, vec![("w", replicated(&[3])), (private, value(rank)), ("x", replicated(&[3]))])
        })
        .collect();
    let mut reversed = states.clone();
    reversed.reverse();
    assert_eq!(planned(&states), planned(&reversed));
}
