//! Ranks that contradict each other.

use std::sync::Arc;

use dcp_default_planner::{DefaultSavePlanner, DifferingValues};
use dcp_planner::{PlanError, SavePlanner};
use dcp_types::{
    DType, DeviceMesh, LocalTensor, Placement, RankSet, StateDict, TensorSpec, TypesError, Value, View, WriteItem,
    WriteWhat, flatten_state,
};

use crate::support::*;

fn refused(states: &[(u32, Named)]) -> PlanError {
    plan(&DefaultSavePlanner::new(), states).expect_err("a contradiction")
}

#[test]
fn both_ranks_and_what_they_say_are_named() {
    let mesh = Arc::new(DeviceMesh::new([3]).expect("mesh"));
    let other = Arc::new(DeviceMesh::of_ranks([2], vec![0, 1]).expect("mesh"));
    let float = What::Tensor(TensorSpec::replicated(DType::UInt8, [4]).expect("spec"));
    let cases = [
        (replicated(&[4]), replicated(&[5]), "w: its shape is [4] on rank 0, but [5] on rank 2"),
        (replicated(&[4]), value(1), "w: its kind is a tensor on rank 0, but a value on rank 2"),
        (
            replicated(&[4]),
            sharded(&[4], &mesh, &[Placement::Shard(0)]),
            "w: its layout is replicated on rank 0, but Shard(0) over a mesh on rank 2",
        ),
        (
            sharded(&[4], &mesh, &[Placement::Replicate]),
            sharded(&[4], &mesh, &[Placement::Shard(0)]),
            "w: its layout is Replicate() over a mesh on rank 0, but Shard(0) over a mesh on rank 2",
        ),
        (
            sharded(&[4], &other, &[Placement::Shard(0)]),
            sharded(&[4], &mesh, &[Placement::Shard(0)]),
            "w: its layout is Shard(0) over mesh(2) of ranks {0..=1} on rank 0, \
             but Shard(0) over mesh(3) of ranks {0..=2} on rank 2",
        ),
        (
            regions(&[4], &[region(&[0], &[4])]),
            replicated(&[4]),
            "w: its layout is explicit regions on rank 0, but replicated on rank 2",
        ),
    ];
    for (first, second, message) in cases {
        let states = [(0, vec![("w", first.clone())]), (1, vec![("w", first)]), (2, vec![("w", second)])];
        let error = refused(&states);
        assert!(matches!(&error, PlanError::Conflict { fqn, ranks: (0, 2), .. } if fqn.as_str() == "w"), "{error:?}");
        assert_eq!(error.to_string(), message);
    }
    let plans = [(0, replicated(&[4])), (1, float)].map(|(rank, what)| {
        // The buffers of these tests are uint32: no buffer, no complaint.
        let What::Tensor(spec) = what else { unreachable!() };
        let bytes = vec![0; 4 * spec.dtype().size() as usize];
        let view = View::from_bytes(spec.dtype(), &[4], &bytes).expect("view");
        let state = flatten_state(StateDict::new().with("w", LocalTensor::new(spec, view))).expect("flattens");
        (rank, DefaultSavePlanner::new().local_plan(&state, &ctx(rank, &RankSet::from_iter(0..2))).expect("plan"))
    });
    let declared = gather(plans, 0);
    let error = DefaultSavePlanner::new().global_plan(&declared, &ctx(0, &RankSet::from_iter(0..2)));
    assert_eq!(error.expect_err("dtypes").to_string(), "w: its dtype is uint32 on rank 0, but uint8 on rank 1");
}

#[test]
fn one_name_for_two_places_is_refused() {
    let dotted = local_plan(&vec![("a.b", value(1))], &ctx(0, &RankSet::from_iter(0..2)));
    let nested = flatten_state(StateDict::new().with("a", StateDict::new().with("b", 1))).expect("flattens");
    let ctx = ctx(0, &RankSet::from_iter(0..2));
    let nested = DefaultSavePlanner::new().local_plan(&nested, &ctx).expect("plan");
    let error = DefaultSavePlanner::new().global_plan(&gather([(0, dotted), (1, nested)], 0), &ctx);
    let error = error.expect_err("a collision").to_string();
    assert_eq!(error, r#"a.b: its place in the tree is ["a.b"] on rank 0, but ["a"]["b"] on rank 1"#);
}

#[test]
fn values_that_differ_are_refused_or_the_lowest_is_kept() {
    let states = vec![(3, vec![("lr", value(0.1))]), (4, vec![("lr", value(0.1))]), (9, vec![("lr", value(0.2))])];
    let error = refused(&states);
    assert!(matches!(error, PlanError::ValueDiffers { rank: 3, other: 9, .. }), "{error:?}");
    let planner = DefaultSavePlanner::new().differing_values(DifferingValues::KeepLowest);
    let kept = plan(&planner, &states).expect("plan");
    assert_eq!((kept.items_of(3).len(), kept.items_of(4).len(), kept.items_of(9).len()), (1, 0, 0));
}

#[test]
fn regions_must_tile_their_tensor() {
    let (left, right) = (region(&[0], &[3]), region(&[2], &[2]));
    let on = |rank, held: &[_]| (rank, vec![("w", regions(&[4], held))]);
    let error = refused(&[on(0, &[]), on(1, std::slice::from_ref(&left)), on(2, std::slice::from_ref(&right))]);
    match error {
        PlanError::Overlap { fqn, mut ranks, .. } => {
            assert_eq!(fqn.as_str(), "w");
            if ranks.0 > ranks.1 {
                ranks = (ranks.1, ranks.0);
            }
            assert_eq!(ranks, (1, 2));
        }
        other => panic!("{other:?}"),
    }
    let error = refused(&[on(0, &[]), on(1, &[left])]);
    assert!(
        matches!(&error, PlanError::Types { source, .. } if **source == TypesError::Hole { covered: 3, total: 4 }),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "w: the regions cover 3 of 4 elements");
}

#[test]
fn ranks_that_a_copy_lacks_are_named() {
    // Ranks 0..4 of a world of 8: each replica of the mesh lacks ranks, replica 0 the fewest.
    let mesh = Arc::new(DeviceMesh::of_ranks([2, 3], vec![0, 1, 7, 6, 5, 3]).expect("mesh"));
    let tensor = vec![("w", sharded(&[3, 2], &mesh, &[Placement::Replicate, Placement::Shard(0)]))];
    let error = refused(&everywhere(4, &tensor));
    assert!(matches!(&error, PlanError::Uncovered { ranks, .. } if *ranks == RankSet::from_iter([7])), "{error:?}");
    // Where rank 7 holds nothing, it is not needed.
    let empty = vec![("w", sharded(&[2, 2], &mesh, &[Placement::Replicate, Placement::Shard(0)]))];
    assert!(plan(&DefaultSavePlanner::new(), &everywhere(4, &empty)).is_ok());
}

#[test]
fn buffers_are_checked_where_they_are() {
    let bytes = [0; 12];
    let spec = TensorSpec::replicated(DType::Float32, [4]).expect("spec");
    let view = View::from_bytes(DType::Float32, &[3], &bytes).expect("view");
    let state = flatten_state(StateDict::new().with("w", LocalTensor::new(spec, view))).expect("flattens");
    let error = DefaultSavePlanner::new().local_plan(&state, &dcp_planner::PlanContext::single()).expect_err("shape");
    assert_eq!(error.to_string(), "w: the local buffer has shape [3], but this part of the tensor has [4]");

    let deep = (0..100).fold(Value::None, |inner, _| Value::List(vec![inner]));
    let state = flatten_state(StateDict::new().with("deep", deep)).expect("flattens");
    let error = DefaultSavePlanner::new().local_plan(&state, &dcp_planner::PlanContext::single()).expect_err("deep");
    assert_eq!((error.kind(), error.fqn().map(|fqn| fqn.as_str())), ("types", Some("deep")));
}

#[test]
fn items_that_a_rank_does_not_have_are_refused() {
    let named = vec![("w", replicated(&[4])), ("step", value(1))];
    let plan = plan(&DefaultSavePlanner::new(), &everywhere(1, &named)).expect("plan");
    let buffers = buffers(&named, 0);
    let (full, empty, own) = (state(&named, &buffers), state(&vec![], &[]), plan.of_rank(0));
    let planner = DefaultSavePlanner::new();
    let ctx = dcp_planner::PlanContext::single();
    let resolve = |item: &WriteItem, state| planner.resolve(item, &own, state, &ctx).expect_err("refused");
    for item in own.items() {
        assert!(matches!(resolve(item, &empty), PlanError::NotHeld { rank: 0, .. }));
    }
    let beyond = WriteItem { entry: 2, what: WriteWhat::Value };
    assert!(matches!(resolve(&beyond, &full), PlanError::NoEntry { entry: 2 }));
    let wrong_kind = WriteItem { entry: 0, what: WriteWhat::Value };
    assert!(matches!(resolve(&wrong_kind, &full), PlanError::NotHeld { .. }));
}
