//! A state is saved: into the page cache, or durably.

use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{DCP, PLAIN, Shape, State, TORCH, ours, plain};
use crate::report::{Comparison, Goal, Row, Unit};
use crate::sizes::{count, show};
use crate::turns::Turns;
use crate::used::Used;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let goals = [(PLAIN, 0.9), (TORCH, 1.0)].map(|(than, at_least)| Goal::Times { of: DCP, than, at_least });
    contest(bench, "save", "into the page cache", false, &goals)
}

pub(crate) fn run_durable(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    contest(bench, "durable", "with fsync", true, &[Goal::Times { of: DCP, than: PLAIN, at_least: 0.95 }])
}

fn contest(
    bench: &Bench,
    name: &'static str,
    how: &str,
    fsync: bool,
    goals: &[Goal],
) -> Result<Vec<Comparison>, Fault> {
    let shape = Shape::of_bytes(bench.sizes.state, TENSORS, COLUMNS);
    let what = format!("{} in {TENSORS} tensors saved {how}, checksums included", show(shape.bytes()));
    let mut comparison = Comparison::new(name, what, Unit::GbPerSecond, &[PLAIN, DCP, TORCH]).over("ranks");
    for &ranks in bench.sizes.ranks {
        let state = &State::new(shape, ranks, 0)?;
        let place = &bench.place(name)?;
        // What one has written is in nobody's way; and all get pages that were in use a moment ago, since who was before would decide what it
        // takes to find free ones.
        let alone = &|write: &dyn Fn() -> Result<Used, Fault>| {
            if !fsync {
                plain::write(state, place, plain::WAYS[0], false)?;
                remove(place)?;
            }
            let used = write();
            remove(place)?;
            used
        };
        let mut turns = Turns::new(bench.repeat);
        let ways: &[plain::Way] = if fsync { &plain::DURABLE_WAYS } else { &plain::WAYS };
        for &way in ways {
            turns.add(PLAIN, way, move || alone(&|| plain::write(state, place, way, fsync).map(Used::time)));
        }
        turns.add(DCP, "", || alone(&|| ours::save(state, place, fsync).map(Used::time)));
        let mut rates = turns.take()?.rates(shape.bytes());
        // Only now: its processes hold gigabytes, and what is left of a machine's memory may be slow to get.
        if let Some(torch) = &bench.torch_ranks(ranks, shape) {
            let mut turns = Turns::new(bench.repeat);
            // Its default, and another choice where that is cheap.
            let threads: &[usize] = if fsync { &[1] } else { &[1, 2] };
            for &threads in threads {
                turns.add_guest(TORCH, count(threads, "thread"), move || {
                    alone(&|| torch.borrow_mut().save(place, threads, fsync))
                });
            }
            rates.extend(turns.take()?.rates(shape.bytes()));
        }
        comparison.push(Row::new(count(ranks, "rank"), rates).at(ranks as f64), goals);
    }
    Ok(vec![comparison])
}

/// Of the state.
pub(super) const TENSORS: usize = 64;
pub(super) const COLUMNS: usize = 4096;
