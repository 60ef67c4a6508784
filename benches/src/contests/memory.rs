//! The memory that saving and loading take beyond the state.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use dcp::Verify;

use super::save::{COLUMNS, TENSORS};
use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{DCP, Shape, State, TORCH, ours, printed};
use crate::report::{Comparison, Goal, Row, Unit};
use crate::sizes::show;
use crate::turns::Turns;
use crate::used::Used;

const RANKS: usize = 4;
/// Of each rank, in MiB.
const LIMIT: f64 = 64.0;

/// What a process of its own does.
#[derive(Args, Clone, Debug)]
pub(crate) struct Child {
    task: Task,
    /// Where the checkpoint is, or will be.
    place: PathBuf,
    /// The size of the state in bytes.
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Task {
    Save,
    Load,
}

impl Child {
    /// Does it; returns the time, and the memory beyond the state.
    pub(crate) fn run(&self) -> Result<Used, Fault> {
        let state = State::new(shape(self.bytes), RANKS, 0)?;
        let start = Instant::now();
        let before = Used::since(start)?;
        match self.task {
            Task::Save => drop(ours::save(&state, &self.place, false)?),
            Task::Load => drop(ours::load(&state, &self.place, Verify::Covered)?),
        }
        Ok(Used::since(start)?.beyond(before))
    }
}

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let what = format!("memory beyond the state, of all {RANKS} ranks together");
    let mut comparison = Comparison::new("memory", what, Unit::Mebibytes, &[DCP, TORCH]);
    for &bytes in bench.sizes.memory {
        measure(bench, bytes, &mut comparison)?;
    }
    Ok(vec![comparison])
}

fn measure(bench: &Bench, bytes: usize, comparison: &mut Comparison) -> Result<(), Fault> {
    let (ours_place, torch_place) = (bench.place("dcp")?, bench.place("torch")?);
    let torch = bench.torch_ranks(RANKS, shape(bytes));
    for task in [Task::Save, Task::Load] {
        // Memory varies little.
        let mut turns = Turns::new(1);
        turns.add(DCP, "", || this_program(bench, task, &ours_place, bytes));
        if let Some(ranks) = &torch {
            turns.add_guest(TORCH, "", || {
                let mut torch = ranks.borrow_mut();
                if task == Task::Save { torch.save(&torch_place, 1, false) } else { torch.load(&torch_place, 0) }
            });
        }
        let what = format!("{} {}", if task == Task::Save { "save" } else { "load" }, show(bytes));
        let row = Row::new(what, turns.take()?.mebibytes());
        let index = fs::metadata(ours_place.join(INDEX))?.len() as f64 / f64::from(1 << 20);
        comparison.push(row, &[Goal::AtMost { of: DCP, limit: LIMIT * RANKS as f64 + index }]);
    }
    remove(&ours_place)?;
    remove(&torch_place)
}

fn this_program(bench: &Bench, task: Task, place: &Path, bytes: usize) -> Result<Used, Fault> {
    let mut child = bench.this_program();
    child.args(["memory", if task == Task::Save { "save" } else { "load" }]).arg(place).arg(bytes.to_string());
    Used::parse(&printed(&mut child)?)
}

fn shape(bytes: usize) -> Shape {
    Shape::of_bytes(bytes, TENSORS, COLUMNS)
}

const INDEX: &str = "index.dcp";
