//! How fast checkpoints are converted, and in how much memory, beside PyTorch's own converters.
//!
//! `dcp_to_torch_save` and `torch_save_to_dcp` do the same work, each in a process of its own. What PyTorch flushes to the disk is flushed here, and
//! nothing else: a `.pt` file is not, a DCP checkpoint is.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use dcp::{Converter, DcpFormat, TorchSaveFormat};

use super::save::{COLUMNS, TENSORS};
use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{DCP, Shape, TORCH, printed};
use crate::report::{Comparison, Row, Unit};
use crate::sizes::show;
use crate::turns::Turns;
use crate::used::Used;

/// What a process of its own does.
#[derive(Args, Clone, Debug)]
pub(crate) struct Child {
    direction: Direction,
    dir: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Direction {
    ToTorchSave,
    ToDcp,
}

impl Child {
    /// Does it; returns the time and the peak of memory.
    pub(crate) fn run(&self) -> Result<Used, Fault> {
        let at = |name| self.dir.join(name);
        let start = Instant::now();
        match self.direction {
            Direction::ToTorchSave => {
                let converter = Converter::new().to(TorchSaveFormat::new()).fsync(false);
                converter.convert(at("dcp"), at("dcp.pt"))?;
            }
            Direction::ToDcp => {
                Converter::new().to(DcpFormat::new()).convert(at("model.pt"), at("dcp_dcp"))?;
            }
        }
        Used::since(start)
    }
}

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let shape = Shape::of_bytes(bench.sizes.converted, TENSORS, COLUMNS);
    let dir = bench.place("convert")?;
    let python = bench.python.as_ref().ok_or("PyTorch makes what is converted")?;
    python.run(SCRIPT, "make", &dir, &[shape.tensors, shape.rows, shape.columns])?;
    let what = format!("{} converted", show(shape.bytes()));
    let mut times = Comparison::new("convert", what.clone(), Unit::Seconds, &[DCP, TORCH]);
    let mut memory =
        Comparison::new("convert-memory", format!("{what}: peak of the process"), Unit::Mebibytes, &[DCP, TORCH]);
    for (direction, what, command, ours, theirs) in [
        (Direction::ToTorchSave, "a checkpoint to one file", "to_torch_save", "dcp.pt", "torch.pt"),
        (Direction::ToDcp, "one file to a checkpoint", "to_dcp", "dcp_dcp", "torch_dcp"),
    ] {
        let mut turns = Turns::new(bench.repeat);
        turns.add(DCP, "", || {
            let used = this_program(bench, direction, &dir)?;
            remove(&dir.join(ours))?;
            Ok(used)
        });
        turns.add_guest(TORCH, "", || {
            let used = Used::parse(&python.run(SCRIPT, command, &dir, &[])?)?;
            remove(&dir.join(theirs))?;
            Ok(used)
        });
        let taken = turns.take()?;
        times.push(Row::new(what, taken.seconds()), &[]);
        memory.push(Row::new(what, taken.mebibytes()), &[]);
    }
    remove(&dir)?;
    Ok(vec![times, memory])
}

fn this_program(bench: &Bench, direction: Direction, dir: &Path) -> Result<Used, Fault> {
    let name = direction.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    Used::parse(&printed(bench.this_program().args(["convert", &name]).arg(dir))?)
}

const SCRIPT: &str = "torch_convert.py";
