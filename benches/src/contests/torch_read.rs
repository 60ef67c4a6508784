//! PyTorch's checkpoints, read here and by PyTorch, which writes them.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dcp::{Checkpoint, Verify};

use super::save::{COLUMNS, TENSORS};
use super::slice;
use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{DCP, Python, Shape, State, TORCH, ours, printed};
use crate::report::{Comparison, Goal, Row, Unit};
use crate::sizes::show;
use crate::turns::Turns;
use crate::used::Used;

const RANKS: usize = 8;

/// What a process of its own does: it opens a checkpoint.
#[derive(Args, Clone, Debug)]
pub(crate) struct Child {
    dir: PathBuf,
}

impl Child {
    /// Does it; returns the time and the peak of memory.
    pub(crate) fn run(&self) -> Result<Used, Fault> {
        let start = Instant::now();
        let checkpoint = Checkpoint::open(&self.dir)?;
        let used = Used::since(start)?;
        std::hint::black_box(checkpoint.metadata().len());
        Ok(used)
    }
}

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let python = bench.python.as_ref().ok_or("PyTorch writes what is read")?;
    let what = "checkpoints of PyTorch";
    let mut times = Comparison::new("torch-read", format!("{what}, read"), Unit::Seconds, &[DCP, TORCH]);
    let mut memory = Comparison::new(
        "torch-read-memory",
        format!("{what}, opened: peak of the process"),
        Unit::Mebibytes,
        &[DCP, TORCH],
    );
    open(bench, python, &mut times, &mut memory)?;
    times.push(columns(bench)?, &[at_least(10.0)]);
    times.push(slice::row(bench, true)?, &[slice::GOAL]);
    Ok(vec![times, memory])
}

/// Opens an index of many ranks.
fn open(bench: &Bench, python: &Python, times: &mut Comparison, memory: &mut Comparison) -> Result<(), Fault> {
    let (ranks, tensors) = bench.sizes.plan;
    let dir = bench.place("index")?;
    fs::create_dir_all(&dir)?;
    python.run(SCRIPT, "write", &dir, &[ranks as usize, tensors])?;
    let size = fs::metadata(dir.join(".metadata"))?.len() as usize;
    let mut turns = Turns::new(bench.repeat);
    turns.add(DCP, "", || Used::parse(&printed(bench.this_program().arg("open").arg(&dir))?));
    turns.add_guest(TORCH, "", || Used::parse(&python.run(SCRIPT, "read", &dir, &[])?));
    let taken = turns.take()?;
    let what = format!("open {ranks} ranks x {tensors}, {}", show(size));
    times.push(Row::new(&what, taken.seconds()), &[at_least(15.0)]);
    memory.push(Row::new(&what, taken.mebibytes()), &[]);
    remove(&dir)
}

/// Loads as columns what processes of PyTorch have saved by rows.
fn columns(bench: &Bench) -> Result<Row, Fault> {
    let shape = Shape::of_bytes(bench.sizes.state, TENSORS, COLUMNS);
    let (dir, as_columns) = (bench.place("rows")?, State::new(shape, RANKS, 1)?);
    let torch = bench.torch_ranks(RANKS, shape).ok_or("there are no ranks of PyTorch")?;
    torch.borrow_mut().save(&dir, 1, true)?;
    let mut turns = Turns::new(bench.repeat);
    turns.add(DCP, "", || Ok(Used::time(ours::load(&as_columns, &dir, Verify::Covered)?.0)));
    turns.add_guest(TORCH, "", || torch.borrow_mut().load(&dir, 1));
    let row = Row::new(format!("{} as columns, {RANKS} ranks", show(shape.bytes())), turns.take()?.seconds());
    remove(&dir)?;
    Ok(row)
}

fn at_least(at_least: f64) -> Goal {
    Goal::Times { of: DCP, than: TORCH, at_least }
}

const SCRIPT: &str = "torch_metadata.py";
