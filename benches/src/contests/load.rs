//! A state is loaded on the mesh that has saved it, out of the page cache.

use dcp::Verify;

use super::save::{COLUMNS, TENSORS};
use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{DCP, PLAIN, Shape, State, TORCH, UNCHECKED, ours, plain};
use crate::report::{Comparison, Goal, Row, Unit};
use crate::sizes::{count, show};
use crate::turns::Turns;
use crate::used::Used;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let shape = Shape::of_bytes(bench.sizes.state, TENSORS, COLUMNS);
    let what = format!("{} in {TENSORS} tensors loaded on the same mesh, warm", show(shape.bytes()));
    let contestants = [PLAIN, DCP, UNCHECKED, TORCH];
    let mut comparison = Comparison::new("load", what, Unit::GbPerSecond, &contestants).over("ranks");
    let goals = [(DCP, PLAIN, 0.85), (UNCHECKED, PLAIN, 0.95), (DCP, TORCH, 3.0)];
    let goals = goals.map(|(of, than, at_least)| Goal::Times { of, than, at_least });
    for &ranks in bench.sizes.ranks {
        comparison.push(row(bench, shape, ranks)?, &goals);
    }
    Ok(vec![comparison])
}

fn row(bench: &Bench, shape: Shape, ranks: usize) -> Result<Row, Fault> {
    let state = &State::new(shape, ranks, 0)?;
    let torch = bench.torch_ranks(ranks, shape);
    let [plain_files, ours_files, torch_files] = ["plain", "dcp", "torch"].map(|name| bench.place(name));
    let (plain_files, ours_files, torch_files) = (&plain_files?, &ours_files?, &torch_files?);
    // Durably, so that nothing is on its way to the disk while others read.
    plain::write(state, plain_files, plain::WAYS[0], true)?;
    ours::save(state, ours_files, true)?;
    if let Some(ranks) = &torch {
        ranks.borrow_mut().save(torch_files, 1, true)?;
    }
    let mut turns = Turns::new(bench.repeat);
    for way in plain::WAYS {
        turns.add(PLAIN, way, move || plain::read(state, plain_files, way).map(Used::time));
    }
    for (who, verify) in [(DCP, Verify::Covered), (UNCHECKED, Verify::None)] {
        turns.add(who, "", move || Ok(Used::time(ours::load(state, ours_files, verify)?.0)));
    }
    if let Some(ranks) = &torch {
        turns.add_guest(TORCH, "", || ranks.borrow_mut().load(torch_files, 0));
    }
    let row = Row::new(count(ranks, "rank"), turns.take()?.rates(shape.bytes())).at(ranks as f64);
    for files in [plain_files, ours_files, torch_files] {
        remove(files)?;
    }
    Ok(row)
}
