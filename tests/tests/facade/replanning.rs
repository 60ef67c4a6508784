//! A save of what has not changed in structure plans nothing; whatever changes, on all ranks or on one, is planned anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dcp::crates::dcp_planner::{Declared, PlanContext};
use dcp::{
    BufferPlace, Checkpoint, Collective as _, DType, DefaultSavePlanner, DeviceMesh, HeldPart, LocalTensor,
    MemoryStore, Placement, PlanError, Region, SavePlanner, Saver, StateDict, TensorSpec, ThreadGroup, ThreadRank,
    View,
};
use dcp_tests::Group;
use dcp_types::{FlatState, GlobalPlan, RankPlan, SavePlan, Source, WriteItem};

const RANKS: u32 = 3;

/// In what a state differs from the first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Nothing,
    DType,
    Shape,
    Placement,
    Name,
    /// A value more, on one rank.
    Value,
    /// The same ranks in another order.
    Mesh,
    /// Two ranks have other rows, where all regions are explicit.
    Region,
}

/// Counts how often a global plan is made.
struct Counting {
    inner: DefaultSavePlanner,
    planned: Arc<AtomicUsize>,
}

impl SavePlanner for Counting {
    fn local_plan(&self, state: &FlatState<'_>, ctx: &PlanContext) -> Result<SavePlan, PlanError> {
        self.inner.local_plan(state, ctx)
    }

    fn global_plan(&self, declared: &[Declared], ctx: &PlanContext) -> Result<GlobalPlan, PlanError> {
        self.planned.fetch_add(1, Ordering::Relaxed);
        self.inner.global_plan(declared, ctx)
    }

    fn resolve<'a>(
        &'a self,
        item: &WriteItem,
        plan: &RankPlan,
        state: &'a FlatState<'_>,
        ctx: &PlanContext,
    ) -> Result<Source<'a>, PlanError> {
        self.inner.resolve(item, plan, state, ctx)
    }
}

/// A tensor over a mesh, and one of explicit regions.
fn specs(change: Change, rank: u32) -> [TensorSpec; 2] {
    let mesh = match change {
        Change::Mesh => DeviceMesh::of_ranks([RANKS], vec![2, 1, 0]),
        _ => DeviceMesh::new([RANKS]),
    };
    let mesh = Arc::new(mesh.expect("mesh"));
    let dtype = if change == Change::DType { DType::Int8 } else { DType::UInt8 };
    let rows = if change == Change::Shape { 8 } else { 7 };
    let placement = if change == Change::Placement { Placement::Replicate } else { Placement::Shard(0) };
    let sharded = TensorSpec::sharded(dtype, [rows, 2], &mesh, [placement]).expect("spec");

    let bounds = if change == Change::Region { [0, 4, 6, 9] } else { [0, 3, 6, 9] };
    let (start, end) = (bounds[rank as usize], bounds[rank as usize + 1]);
    let region = Region::new([start, 0], [end - start, 2]).expect("region");
    let part = HeldPart { region, place: BufferPlace::Flat(0) };
    [sharded, TensorSpec::regions(DType::UInt8, [9, 2], [part]).expect("spec")]
}

/// Each element is the number of its row, and so many more.
fn rows(from: u64, count: u64, fill: u8) -> Vec<u8> {
    (from..from + count).flat_map(|row| [row as u8 + fill; 2]).collect()
}

fn name(change: Change) -> &'static str {
    if change == Change::Name { "renamed" } else { "sharded" }
}

/// Saves one state after the other from all ranks, each to a store of its own. How often was planned by then, after each.
fn saves(changes: &[Change]) -> Vec<usize> {
    let stores: Vec<MemoryStore> = changes.iter().map(|_| MemoryStore::new()).collect();
    let planned = Arc::new(AtomicUsize::new(0));
    let counts = Group::whole(RANKS).run(|collective, rank| {
        let planner = Counting { inner: DefaultSavePlanner::new(), planned: Arc::clone(&planned) };
        let saver = Saver::new().group(collective).planner(planner);
        let save = |((fill, &change), store): ((u8, &Change), &MemoryStore)| {
            let before = planned.load(Ordering::SeqCst);
            let specs = specs(change, rank);
            let memory = [0, 1].map(|number| {
                let parts = specs[number].parts(rank);
                let offset = parts.first().map_or(0, |part| part.region.offsets()[0]);
                rows(offset, parts.iter().map(|part| part.region.sizes()[0]).sum(), fill)
            });
            let [sharded, cut] = [0, 1].map(|number| {
                let bytes: &[u8] = &memory[number];
                let shape = specs[number].local_shape(rank).unwrap_or(vec![bytes.len() as u64]);
                let view = View::from_bytes(specs[number].dtype(), &shape, bytes).expect("view");
                LocalTensor::new(specs[number].clone(), view)
            });
            let mut state = StateDict::new().with(name(change), sharded).with("cut", cut).with("step", 7);
            if change == Change::Value && rank == 1 {
                state.insert("late", 1);
            }
            let report = saver.save_dict(&state, store.clone()).expect("saves");
            if rank == 0 {
                // Only this rank plans, and it has: the others wait for its plan.
                assert_eq!(planned.load(Ordering::SeqCst) == before, report.plan_reused, "{change:?}");
            }
            report.plan_reused
        };
        (0u8..).zip(changes).zip(&stores).map(save).collect::<Vec<bool>>()
    });
    assert!(counts.windows(2).all(|pair| pair[0] == pair[1]), "{counts:?}");
    for ((fill, &change), store) in (0u8..).zip(changes).zip(stores) {
        check(change, fill, store);
    }
    let made = counts[0].iter().scan(0, |made, reused| {
        *made += usize::from(!reused);
        Some(*made)
    });
    let made: Vec<usize> = made.collect();
    assert_eq!(made.last(), Some(&planned.load(Ordering::SeqCst)));
    made
}

fn check(change: Change, fill: u8, store: MemoryStore) {
    let checkpoint = Checkpoint::open(store).expect("opens");
    let [sharded, _] = specs(change, 0);
    let tensor = checkpoint.tensor(name(change)).expect("reads");
    assert_eq!((tensor.dtype(), tensor.shape()), (sharded.dtype(), sharded.shape()), "{change:?}");
    assert_eq!(tensor.bytes(), rows(0, sharded.shape().dims()[0], fill), "{change:?}");
    assert_eq!(checkpoint.tensor("cut").expect("reads").bytes(), rows(0, 9, fill), "{change:?}");
    assert_eq!(checkpoint.metadata().len(), if change == Change::Value { 4 } else { 3 }, "{change:?}");
}

#[test]
fn what_has_not_changed_is_not_planned() {
    assert_eq!(saves(&[Change::Nothing; 5]), [1; 5]);
}

#[test]
fn whatever_changes_is_planned_anew() {
    use Change::{DType, Mesh, Name, Nothing, Placement, Region, Shape, Value};
    for change in [DType, Shape, Placement, Name, Value, Mesh, Region] {
        assert_eq!(saves(&[Nothing, Nothing, change, change, Nothing]), [1, 1, 2, 2, 3], "{change:?}");
    }
}

/// What a saver keeps of a plan is a part of it: that of the rank which it was.
#[test]
fn a_saver_that_becomes_another_rank_plans_anew() {
    let groups: Vec<Vec<ThreadRank>> = (0..3).map(|_| ThreadGroup::new(2)).collect();
    let mut savers: Vec<Saver<'_>> = (0..2).map(|_| Saver::new()).collect();
    for (turn, group) in groups.iter().enumerate() {
        if turn == 2 {
            savers.reverse();
        }
        let store = MemoryStore::new();
        let save = |saver: &Saver<'_>, rank: &ThreadRank| {
            let me = rank.rank() as u64;
            let mesh = Arc::new(DeviceMesh::new([2]).expect("mesh"));
            let spec = TensorSpec::sharded(DType::UInt8, [6, 2], &mesh, [Placement::Shard(0)]).expect("spec");
            let memory = rows(3 * me, 3, 0);
            let view = View::from_bytes(DType::UInt8, &[3, 2], &memory).expect("view");
            let state = StateDict::new().with("sharded", LocalTensor::new(spec, view));
            saver.save_dict(&state, store.clone()).expect("saves").plan_reused
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let mut running = Vec::new();
            for (saver, rank) in savers.into_iter().zip(group) {
                let saver = saver.group(rank);
                running.push(scope.spawn(move || (save(&saver, rank), saver)));
            }
            running.into_iter().map(|rank| rank.join().expect("no panic")).collect()
        });
        let (reused, again): (Vec<bool>, Vec<_>) = outcomes.into_iter().unzip();
        savers = again;
        assert_eq!(reused, [turn == 1; 2]);
        let tensor = Checkpoint::open(store).expect("opens").tensor("sharded").expect("reads");
        assert_eq!(tensor.bytes(), rows(0, 6, 0));
    }
}
