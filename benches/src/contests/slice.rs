//! A few rows out of one large chunk, opening included.

use std::path::Path;
use std::time::Instant;

use dcp::{Checkpoint, Region, Saver, StateDict};
use ndarray::Array2;

use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{DCP, Python, TORCH};
use crate::report::{Comparison, Goal, Row, Unit};
use crate::sizes::show;
use crate::turns::Turns;
use crate::used::Used;

const SCRIPT: &str = "torch_slice.py";
const COLUMNS: usize = 1024;
/// The slice is one of so many.
const PARTS: usize = 64;

/// Of checkpoints that each has saved in its own format.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let mut comparison =
        Comparison::new("slice", "a slice of a large chunk, opening included", Unit::Seconds, &[DCP, TORCH]);
    comparison.push(row(bench, false)?, &[GOAL]);
    Ok(vec![comparison])
}

pub(super) const GOAL: Goal = Goal::Times { of: DCP, than: TORCH, at_least: 50.0 };

/// PyTorch reads what it has saved; so do we, or what we have saved in our own format.
pub(super) fn row(bench: &Bench, is_theirs: bool) -> Result<Row, Fault> {
    let rows = (bench.sizes.chunk / COLUMNS / size_of::<i32>()).next_multiple_of(PARTS);
    let (ours, theirs) = (bench.place("chunk-dcp")?, bench.place("chunk-torch")?);
    if let Some(python) = &bench.python {
        python.run(SCRIPT, "save_chunk", &theirs, &[rows, COLUMNS])?;
    }
    if !is_theirs {
        save(&ours, rows)?;
    }
    let mut turns = Turns::new(bench.repeat);
    turns.add(DCP, "", || read(if is_theirs { &theirs } else { &ours }, rows));
    if let Some(python) = &bench.python {
        turns.add_guest(TORCH, "", || read_by_torch(python, &theirs, rows));
    }
    let bytes = rows * COLUMNS * size_of::<i32>();
    let row = Row::new(format!("{} of {}", show(bytes / PARTS), show(bytes)), turns.take()?.seconds());
    remove(&ours)?;
    remove(&theirs)?;
    Ok(row)
}

fn save(to: &Path, rows: usize) -> Result<(), Fault> {
    let tensor = Array2::from_shape_vec((rows, COLUMNS), (0..(rows * COLUMNS) as i32).collect())?;
    Saver::new().save_dict(&StateDict::new().with("tensor", dcp::whole(&tensor)?), to)?;
    Ok(())
}

/// The second time counts, when everything is warm.
fn read(from: &Path, rows: usize) -> Result<Used, Fault> {
    read_once(from, rows)?;
    read_once(from, rows)
}

fn read_once(from: &Path, rows: usize) -> Result<Used, Fault> {
    let height = rows / PARTS;
    let first = PARTS / 2 * height;
    let start = Instant::now();
    let checkpoint = Checkpoint::open(from)?;
    let slice = checkpoint.slice("tensor", &Region::new([first as u64, 0], [height as u64, COLUMNS as u64])?)?;
    let time = start.elapsed();
    let expected = (first * COLUMNS) as i32..;
    let is_right = slice.to_array::<i32>()?.iter().zip(expected).all(|(found, expected)| *found == expected);
    if is_right { Ok(Used::time(time.as_secs_f64())) } else { Err(crate::contestants::WRONG.into()) }
}

/// The second time, too.
fn read_by_torch(python: &Python, from: &Path, rows: usize) -> Result<Used, Fault> {
    let seconds = python.run(SCRIPT, "load_slice", from, &[rows, COLUMNS, PARTS])?;
    Ok(Used::time(serde_json::from_slice(&seconds)?))
}
