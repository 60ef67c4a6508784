//! Who writes what several ranks hold.

use std::sync::Arc;

use dcp_default_planner::{Dedup, DefaultSavePlanner};
use dcp_types::{DeviceMesh, GlobalPlan, Owners, Placement, Rank};
use proptest::prelude::*;

use crate::support::*;

fn loads(plan: &GlobalPlan, world: u32) -> Vec<u64> {
    (0..world).map(|rank| bytes_of(&plan.items_of(rank))).collect()
}

fn plan_of(dedup: Dedup, states: &[(Rank, Named)]) -> GlobalPlan {
    plan(&DefaultSavePlanner::new().dedup(dedup), states).expect("plan")
}

#[test]
fn large_replicas_are_placed_before_small_ones() {
    let named = vec![("a", replicated(&[2])), ("b", replicated(&[3])), ("c", replicated(&[5]))];
    let plan = plan_of(Dedup::Balanced, &everywhere(2, &named));
    assert_eq!(plan.owners(), [Owners::One(1), Owners::One(1), Owners::One(0)]);
    assert_eq!(plan_of(Dedup::Lowest, &everywhere(2, &named)).owners(), vec![Owners::One(0); 3]);
}

#[test]
fn what_only_one_rank_has_counts_before_there_is_a_choice() {
    let mut states = everywhere(3, &vec![("shared", replicated(&[8]))]);
    states[0].1.push(("private0", replicated(&[100])));
    states[1].1.push(("private1", replicated(&[100])));
    let plan = plan_of(Dedup::Balanced, &states);
    assert_eq!(plan.owners()[0], Owners::One(2));
}

#[test]
fn replicas_of_a_mesh_share_the_work() {
    let mesh = Arc::new(DeviceMesh::new([2, 3]).expect("mesh"));
    let tensor = sharded(&[6, 4], &mesh, &[Placement::Replicate, Placement::Shard(0)]);
    let named = vec![("a", tensor.clone()), ("b", tensor.clone()), ("c", tensor.clone()), ("d", tensor)];
    let states = everywhere(6, &named);
    let plan = plan_of(Dedup::Balanced, &states);
    let replicas: Vec<_> = plan.owners().to_vec();
    assert_eq!(replicas, [Owners::Replica(0), Owners::Replica(1), Owners::Replica(0), Owners::Replica(1)]);
    assert_eq!(loads(&plan, 6), [64; 6]);
    assert_eq!(plan_of(Dedup::Lowest, &states).owners(), vec![Owners::Replica(0); 4]);
}

#[test]
fn regions_that_several_ranks_have_are_written_by_the_least_busy() {
    let (left, right) = (region(&[0, 0], &[4, 2]), region(&[0, 2], &[4, 2]));
    let both = [left.clone(), right.clone()];
    let states = vec![
        (0, vec![("w", regions(&[4, 4], &both))]),
        (1, vec![("w", regions(&[4, 4], &[right]))]),
        (2, vec![("w", regions(&[4, 4], &[]))]),
    ];
    assert_eq!(plan_of(Dedup::Balanced, &states).owners(), [Owners::Each(vec![0, 1])]);
    assert_eq!(plan_of(Dedup::Lowest, &states).owners(), [Owners::Each(vec![0, 0])]);
}

#[test]
fn sizes_that_overflow_together_are_planned() {
    let states = everywhere(1, &vec![]);
    assert!(plan_of(Dedup::Balanced, &states).metadata().is_empty());
    // Nobody has such buffers, but a coordinator sees what ranks say.
    let huge = |name: &str| dcp_types::TensorDecl {
        path: dcp_types::StatePath::new(vec![dcp_types::Segment::Key(name.into())]),
        dtype: dcp_types::DType::Complex128,
        shape: dcp_types::Shape::new([1 << 58]).expect("shape"),
        sharding: dcp_types::ShardingDecl::Replicated,
        tied: None,
    };
    let tensors = ["a", "b", "c", "d", "e", "f"].map(huge).to_vec();
    let ranks = dcp_types::RankSet::from_iter(0..2);
    let mut plan = local_plan(&vec![], &ctx(0, &ranks));
    plan.tensors = dcp_types::PlanPart::new(tensors).expect("part");
    let declared = [dcp_planner::Declared { ranks: ranks.clone(), plan }];
    let planner = DefaultSavePlanner::new();
    let plan = dcp_planner::SavePlanner::global_plan(&planner, &declared, &ctx(0, &ranks));
    assert_eq!(plan.expect("plan").metadata().len(), 6);
}

proptest! {
    #[test]
    fn no_rank_writes_more_than_its_share_and_one_tensor(
        sizes in proptest::collection::vec(0..1000u64, 1..20),
        world in 1..9u32,
    ) {
        const NAMES: [&str; 20] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"];
        let named: Named = NAMES.iter().zip(&sizes).map(|(name, size)| (*name, replicated(&[*size]))).collect();
        let states = everywhere(world, &named);
        let loads_of = |dedup| loads(&plan_of(dedup, &states), world);
        let (total, largest) = (sizes.iter().sum::<u64>() * 4, sizes.iter().max().expect("one") * 4);
        let balanced = loads_of(Dedup::Balanced);
        prop_assert_eq!(balanced.iter().sum::<u64>(), total);
        let ideal = total as f64 / f64::from(world);
        prop_assert!(balanced.iter().all(|&load| load as f64 <= ideal + largest as f64), "{:?}", balanced);
        let lowest = loads_of(Dedup::Lowest);
        prop_assert!(lowest[0] == total && lowest[1..].iter().all(|&load| load == 0));
    }
}
