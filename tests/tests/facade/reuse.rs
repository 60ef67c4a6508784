//! Savers that are kept: they plan once for states of one structure, and never save what was.

use std::sync::Arc;

use dcp::{Checkpoint, DType, DeviceMesh, LocalTensor, MemoryStore, Placement, Saver, StateDict, TensorSpec, View};
use dcp_tests::Group;

const RANKS: u32 = 3;

/// What one of several saves in a row is of.
#[derive(Clone, Copy)]
struct Turn {
    /// What the tensor's bytes are.
    fill: u8,
    /// A value that all ranks have.
    step: i64,
    /// Whether each rank has a value of its own.
    private: bool,
    /// The rows of the tensor.
    rows: u64,
    /// Whether the value stands before the tensor.
    value_first: bool,
}

const FIRST: Turn = Turn { fill: 1, step: 1, private: true, rows: 7, value_first: false };

/// Saves each turn over the one before with the same savers; whether the plan was that of the turn before, by turn and rank,
/// and what then was there.
fn saves(turns: &[Turn], forgetful: Option<u32>) -> Vec<bool> {
    let store = MemoryStore::new();
    let mesh = Arc::new(DeviceMesh::new([RANKS]).expect("mesh"));
    let reused = Group::whole(RANKS).run(|collective, rank| {
        let make = || Saver::new().group(collective).overwrite(true);
        let mut saver = make();
        let mut reused = Vec::new();
        for turn in turns {
            if forgetful == Some(rank) {
                saver = make();
            }
            let spec = TensorSpec::sharded(DType::UInt8, [turn.rows, 4], &mesh, [Placement::Shard(0)]).expect("spec");
            let shape = spec.local_shape(rank).expect("in the mesh");
            let local = vec![turn.fill + rank as u8; shape.iter().product::<u64>() as usize];
            let tensor = LocalTensor::new(spec, View::from_bytes(DType::UInt8, &shape, &local).expect("view"));
            let mut state = StateDict::new();
            if turn.value_first {
                state.insert("step", turn.step);
            }
            state.insert("tensor", tensor);
            state.insert("step", turn.step);
            if turn.private {
                state.insert(format!("of {rank}"), turn.step + i64::from(rank));
            }
            let report = saver.save_dict(&state, store.clone()).expect("saves");
            reused.push(report.plan_reused);
            // One rank looks before the next save begins.
            if rank == 0 {
                check(&store, turn);
            }
            let mut exchange = exchange(collective);
            exchange.barrier("looked").expect("all are here");
            exchange.finish();
        }
        reused
    });
    assert!(reused.windows(2).all(|pair| pair[0] == pair[1]), "{reused:?}");
    reused[0].clone()
}

fn exchange(collective: &dyn dcp::Collective) -> dcp::crates::dcp_collective::Exchange<'_> {
    let patience = std::time::Duration::from_secs(300);
    dcp::crates::dcp_collective::Exchange::new(collective, 0, patience).expect("a coordinator")
}

fn check(store: &MemoryStore, turn: &Turn) {
    let checkpoint = Checkpoint::open(store.clone()).expect("opens");
    let tensor = checkpoint.tensor("tensor").expect("reads");
    let rows = turn.rows.div_ceil(u64::from(RANKS));
    let expected: Vec<u8> = (0..turn.rows).flat_map(|row| [turn.fill + (row / rows) as u8; 4]).collect();
    assert_eq!(tensor.bytes(), expected);
    assert_eq!(checkpoint.value("step").expect("reads"), turn.step.into());
    for rank in (0..i64::from(RANKS)).filter(|_| turn.private) {
        assert_eq!(checkpoint.value(&format!("of {rank}")).expect("reads"), (turn.step + rank).into());
    }
    let names: Vec<_> = checkpoint.metadata().entries().map(|(fqn, _)| fqn.to_string()).collect();
    let first = if turn.value_first { ["step", "tensor"] } else { ["tensor", "step"] };
    assert_eq!(names[..2], first);
    assert_eq!(names.len(), if turn.private { 5 } else { 2 });
}

#[test]
fn a_plan_serves_again_for_new_content() {
    let reused = saves(&[FIRST, Turn { fill: 50, ..FIRST }, Turn { fill: 90, ..FIRST }], None);
    assert_eq!(reused, [false, true, true]);
}

#[test]
fn a_changed_value_is_saved() {
    // Only a planner can tell whether ranks with values of their own agree about the others.
    let turn = |step| Turn { step, fill: step as u8, ..FIRST };
    assert_eq!(saves(&[turn(1), turn(2), turn(3), turn(3)], None), [false, false, false, true]);
    let shared = |step| Turn { private: false, ..turn(step) };
    assert_eq!(saves(&[shared(1), shared(200), shared(1 << 40), shared(2)], None), [false, true, true, true]);
}

#[test]
fn a_changed_structure_is_planned_anew() {
    let wider = Turn { rows: 11, ..FIRST };
    let fewer = Turn { private: false, ..FIRST };
    let reordered = Turn { value_first: true, ..FIRST };
    let reused = saves(&[FIRST, wider, wider, fewer, FIRST, reordered, reordered], None);
    assert_eq!(reused, [false, false, true, false, false, false, true]);
}

#[test]
fn a_plan_that_one_rank_has_forgotten_is_made_anew() {
    assert_eq!(saves(&[FIRST, FIRST, FIRST], Some(2)), [false, false, false]);
}

#[test]
fn another_planner_plans_anew() {
    let store = MemoryStore::new();
    let state = StateDict::new().with("step", 7);
    let saver = Saver::new().overwrite(true);
    let reused = |saver: &Saver<'_>| saver.save_dict(&state, store.clone()).expect("saves").plan_reused;
    assert_eq!([reused(&saver), reused(&saver)], [false, true]);
    assert!(!reused(&saver.planner(dcp::DefaultSavePlanner::new())));
}

#[test]
fn threads_may_share_a_saver() {
    let saver = Saver::new().overwrite(true);
    std::thread::scope(|scope| {
        for name in ["one", "other"] {
            let saver = &saver;
            scope.spawn(move || {
                let store = MemoryStore::new();
                for step in 0..50 {
                    saver.save_dict(&StateDict::new().with(name, step), store.clone()).expect("saves");
                }
                let checkpoint = Checkpoint::open(store).expect("opens");
                assert_eq!(checkpoint.value(name).expect("reads"), 49.into());
            });
        }
    });
}
