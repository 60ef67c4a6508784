//! What ranks write is every element once, and what other ranks read of it is what they want.

use dcp_default_planner::{Dedup, DefaultLoadPlanner, DefaultSavePlanner};
use dcp_planner::{LoadPlanner, SavePlanner, cut_target};
use dcp_types::strategies::{shapes, shard_grids, tilings};
use dcp_types::{
    DType, Fqn, GlobalPlan, Rank, RankSet, ReadWhat, Region, Source, StateTarget, TargetTensor, TensorSpec, ViewMut,
    WriteWhat, flatten_target,
};
use ndarray::ArrayD;
use proptest::prelude::*;

use crate::support::*;

const WORLD: u32 = 6;
const UNWRITTEN: u32 = u32::MAX;

/// What each rank says of a tensor that is whole, sharded or in regions.
fn specs() -> impl Strategy<Value = Vec<TensorSpec>> {
    shapes().prop_flat_map(|shape| {
        let whole = TensorSpec::replicated(DType::UInt32, &shape).expect("spec");
        let grids = shard_grids(&shape, WORLD).prop_map(|grid| {
            let placements = grid.placements().iter().copied();
            let spec = TensorSpec::sharded(DType::UInt32, grid.shape(), grid.mesh(), placements).expect("spec");
            vec![spec; WORLD as usize]
        });
        let listed = tilings(&shape, WORLD)
            .prop_map(|tiling| (0..WORLD).map(|rank| tiling.spec(rank, DType::UInt32).0).collect());
        prop_oneof![1 => Just(vec![whole; WORLD as usize]), 3 => grids, 2 => listed]
    })
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn on_rank(tensors: &[Vec<TensorSpec>], rank: Rank) -> Named {
    let of_rank =
        |(name, specs): (&&'static str, &Vec<TensorSpec>)| (*name, What::Tensor(specs[rank as usize].clone()));
    let mut named: Named = NAMES.iter().zip(tensors).map(of_rank).collect();
    named.push(("seed", value(7)));
    named
}

/// What all ranks write, put together. Panics if an element is written twice.
fn written(planner: &DefaultSavePlanner, plan: &GlobalPlan, states: &[(Rank, Named)]) -> Vec<ArrayD<u32>> {
    let ranks: RankSet = states.iter().map(|(rank, _)| *rank).collect();
    let mut tensors: Vec<ArrayD<u32>> = Vec::new();
    for (_, entry) in plan.metadata().entries() {
        let shape = entry.as_tensor().map_or(vec![0], |tensor| tensor.shape.dims().to_vec());
        tensors.push(numbered(&shape).mapv(|_| UNWRITTEN));
    }
    for (rank, named) in states {
        let buffers = buffers(named, *rank);
        let state = state(named, &buffers);
        let plan = plan.of_rank(*rank);
        for item in plan.items() {
            let source = planner.resolve(item, &plan, &state, &ctx(*rank, &ranks)).expect("resolves");
            match (&item.what, source) {
                (WriteWhat::Value, Source::Value(_)) => {}
                (WriteWhat::Chunk(chunk, nbytes), Source::View(view)) => {
                    assert_eq!((view.nbytes(), view.shape()), (*nbytes, chunk.region.sizes().to_vec()));
                    let mut bytes = vec![0; view.nbytes() as usize];
                    view.read_at(0, &mut bytes).expect("reads");
                    let elements = bytes.chunks_exact(4).map(|e| u32::from_ne_bytes([e[0], e[1], e[2], e[3]]));
                    for (place, element) in slice_mut(&mut tensors[item.entry], &chunk.region).iter_mut().zip(elements)
                    {
                        assert_eq!(std::mem::replace(place, element), UNWRITTEN, "written twice");
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    tensors
}

/// What is written by whom, whether listed or computed.
fn writes(plan: &GlobalPlan) -> Vec<Vec<(usize, Region)>> {
    let of_rank = |rank| {
        let regions = plan.items_of(rank).into_iter().filter_map(|item| match item.what {
            WriteWhat::Chunk(chunk, _) => Some((item.entry, chunk.region)),
            WriteWhat::Value => None,
        });
        let mut regions: Vec<_> = regions.collect();
        regions.sort();
        regions
    };
    (0..WORLD).map(of_rank).collect()
}

/// Reads into every buffer of a rank what the load planner says, and compares it with what should be there.
fn check_load(plan: &GlobalPlan, tensors: &[ArrayD<u32>], named: &Named, rank: Rank) {
    let expected = buffers(named, rank);
    let mut loaded: Vec<ArrayD<u32>> = expected.iter().map(|buffer| buffer.mapv(|_| UNWRITTEN)).collect();
    let mut target = StateTarget::new();
    for ((name, what), buffer) in named.iter().zip(&mut loaded) {
        if let What::Tensor(spec) = what {
            target.insert(*name, TargetTensor::new(spec.clone(), ViewMut::from_array(buffer.view_mut())));
        }
    }
    let mut target = flatten_target(target).expect("flattens");
    let ranks = RankSet::from_iter(0..WORLD);
    let load = DefaultLoadPlanner::new().local_plan(plan.metadata(), &target, &ctx(rank, &ranks)).expect("local plan");
    assert_eq!(load.problems, []);
    for read in &load.tensors {
        let Some((_, dcp_types::TargetLeaf::Tensor(tensor))) = target.shift_remove(&read.target) else { panic!() };
        for (item, mut piece) in cut_target(read, tensor.dest).expect("cuts") {
            let ReadWhat::Region { region, .. } = item.what else { panic!() };
            let elements = slice(&tensors[item.entry], &region);
            let bytes: Vec<u8> = elements.iter().flat_map(|element| element.to_ne_bytes()).collect();
            piece.copy_from_bytes(&bytes).expect("length");
        }
    }
    drop(target);
    assert_eq!(loaded, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_is_saved_is_loaded_by_whoever_wants_it(
        tensors in proptest::collection::vec(specs(), 1..4),
        dedup in prop_oneof![Just(Dedup::Balanced), Just(Dedup::Lowest)],
        seeds in any::<u64>(),
    ) {
        let planner = DefaultSavePlanner::new().dedup(dedup);
        let states: Vec<_> = (0..WORLD).map(|rank| (rank, on_rank(&tensors, rank))).collect();
        let plan = plan(&planner, &states).expect("global plan");
        let written = written(&planner, &plan, &states);
        for ((fqn, entry), tensor) in plan.metadata().entries().zip(&written) {
            if let Some(saved) = entry.as_tensor() {
                prop_assert_eq!(tensor, &numbered(saved.shape.dims()), "{}", fqn);
            }
        }
        prop_assert_eq!(writes(&plan.expand().expect("expands")), writes(&plan));

        // Loaded with the shardings that it was saved with, and whole on one rank.
        for (rank, named) in &states {
            check_load(&plan, &written, named, *rank);
        }
        let whole = |(name, what): &(&'static str, What)| match what {
            What::Tensor(spec) => Some((*name, replicated(spec.shape().dims()))),
            What::Value(_) => None,
        };
        let reader = (seeds % u64::from(WORLD)) as Rank;
        check_load(&plan, &written, &states[reader as usize].1.iter().filter_map(whole).collect(), reader);
    }

    #[test]
    fn any_sharding_is_read_from_any_other(
        (shape, saved, wanted) in shapes().prop_flat_map(|shape| {
            (Just(shape.clone()), shard_grids(&shape, WORLD), shard_grids(&shape, WORLD))
        }),
    ) {
        let spec = |grid: &dcp_types::ShardGrid| sharded(shape.dims(), grid.mesh(), grid.placements());
        let states = everywhere(WORLD, &vec![("w", spec(&saved))]);
        let plan = plan(&DefaultSavePlanner::new(), &states).expect("global plan");
        let entry = plan.metadata().find(Fqn::from("w").as_str()).expect("entry").0;
        prop_assert_eq!(entry, 0);
        for rank in wanted.mesh().ranks() {
            check_load(&plan, &[numbered(shape.dims())], &vec![("w", spec(&wanted))], rank);
        }
    }
}
