//! What ranks have saved by rows, as many others load as columns.

use std::cell::Cell;

use dcp::Verify;

use super::save::TENSORS;
use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{DCP, Shape, State, TORCH, ours};
use crate::report::{Comparison, Goal, Row, Unit, Verdict};
use crate::sizes::show;
use crate::turns::Turns;
use crate::used::Used;

const RANKS: usize = 8;
/// Elements in a row.
const WIDTHS: [usize; 2] = [1024, 8192];

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let state = show(bench.sizes.state);
    let what = format!("{state} in {TENSORS} tensors, saved as rows by {RANKS} ranks, loaded as columns by {RANKS}");
    let mut comparison = Comparison::new("columns", what, Unit::Seconds, &[DCP, TORCH]);
    for columns in WIDTHS {
        let row = row(bench, Shape::of_bytes(bench.sizes.state, TENSORS, columns))?;
        comparison.push(row, &[Goal::Times { of: DCP, than: TORCH, at_least: 10.0 }]);
    }
    Ok(vec![comparison])
}

fn row(bench: &Bench, shape: Shape) -> Result<Row, Fault> {
    let (ours_files, torch_files) = (bench.place("dcp")?, bench.place("torch")?);
    ours::save(&State::new(shape, RANKS, 0)?, &ours_files, true)?;
    let torch = bench.torch_ranks(RANKS, shape);
    if let Some(ranks) = &torch {
        ranks.borrow_mut().save(&torch_files, 1, true)?;
    }
    let as_columns = State::new(shape, RANKS, 1)?;
    let over_read = Cell::new(1.0);
    let mut turns = Turns::new(bench.repeat);
    turns.add(DCP, "", || {
        let (seconds, report) = ours::load(&as_columns, &ours_files, Verify::Covered)?;
        let total = report.total();
        over_read.set(total.read as f64 / total.needed as f64);
        Ok(Used::time(seconds))
    });
    if let Some(ranks) = &torch {
        turns.add_guest(TORCH, "", || ranks.borrow_mut().load(&torch_files, 1));
    }
    let run = shape.columns / RANKS * size_of::<f32>();
    let mut row = Row::new(format!("runs of {run} bytes"), turns.take()?.seconds());
    if run >= EXACT {
        row.verdicts.push(Verdict::at_most("bytes read / needed", over_read.get(), 1.05));
    }
    remove(&ours_files)?;
    remove(&torch_files)?;
    Ok(row)
}

/// From how many bytes on a run is read alone.
const EXACT: usize = 4096;
