//! How fast checkpoints are converted, and in how much memory, beside PyTorch's own converters.
//!
//! `cargo run --release -p dcp-benches --bin torch_convert -- --torch PYTHON`
//!
//! `dcp_to_torch_save` and `torch_save_to_dcp` do the same work; contestants take turns, each in a process of its own. What PyTorch
//! flushes to the disk is flushed here, and nothing else: a `.pt` file is not, a DCP checkpoint is.
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use dcp::{Converter, DcpFormat, TorchSaveFormat};
use dcp_benches::{Python, Used, median, printed};

/// Measures converting a checkpoint to one file, and one file to a checkpoint.
#[derive(Debug, Parser)]
struct Args {
    /// The size of the state.
    #[arg(long, default_value_t = 4.0)]
    gib: f64,
    /// How often each figure is measured.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Where the files go; a temporary directory unless told.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A Python interpreter with torch.
    #[arg(long)]
    torch: Option<PathBuf>,
    /// Converts what is in the directory, and prints the time and the peak of memory.
    #[arg(long, hide = true, requires = "dir")]
    child: Option<Direction>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Direction {
    ToTorchSave,
    ToDcp,
}

const SCRIPT: &str = "torch_convert.py";
const TENSORS: usize = 64;
const COLUMNS: usize = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if let (Some(direction), Some(dir)) = (args.child, &args.dir) {
        return direction.convert(dir);
    }
    let Some(python) = args.torch.clone().map(Python::new) else {
        println!("skipped: conversions (no --torch)");
        return Ok(());
    };
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    let rows = (args.gib * f64::from(1 << 30)) as usize / TENSORS / COLUMNS / 4;
    python.run(SCRIPT, "make", &dir, &[TENSORS, rows, COLUMNS])?;
    println!("median of {} runs, {} GiB{:>18}{:>10}{:>12}", args.repeat, args.gib, "dcp", "torch", "torch/dcp");
    for direction in [Direction::ToTorchSave, Direction::ToDcp] {
        contest(direction, &python, &dir, args.repeat)?;
    }
    Ok(())
}

fn contest(direction: Direction, python: &Python, dir: &Path, repeat: usize) -> Result<(), Box<dyn Error>> {
    let (what, command, ours, theirs) = match direction {
        Direction::ToTorchSave => ("a checkpoint to one file", "to_torch_save", "dcp.pt", "torch.pt"),
        Direction::ToDcp => ("one file to a checkpoint", "to_dcp", "dcp_dcp", "torch_dcp"),
    };
    let (mut times, mut peaks) = ([Vec::new(), Vec::new()], [0; 2]);
    for _ in 0..repeat {
        let child = direction.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let us = printed(Command::new(std::env::current_exe()?).args(["--child", &child, "--dir"]).arg(dir))?;
        remove(&dir.join(ours))?;
        let them = python.run(SCRIPT, command, dir, &[])?;
        remove(&dir.join(theirs))?;
        for (output, (times, peak)) in [us, them].iter().zip(times.iter_mut().zip(&mut peaks)) {
            let used = Used::parse(output)?;
            times.push(Duration::from_secs_f64(used.seconds));
            *peak = used.bytes.max(*peak);
        }
    }
    let [us, them] = [&times[0], &times[1]].map(|times| median(times));
    println!("  {what:<32}{us:>8.2} s{them:>8.2} s{:>12.1}", them / us);
    println!("  {:<32}{:>6} MiB{:>6} MiB", "  peak memory of the process", peaks[0] >> 20, peaks[1] >> 20);
    Ok(())
}

impl Direction {
    /// What the child process does.
    fn convert(self, dir: &Path) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        match self {
            Self::ToTorchSave => {
                let converter = Converter::new().to(TorchSaveFormat::new()).fsync(false);
                converter.convert(dir.join("dcp"), dir.join("dcp.pt"))?;
            }
            Self::ToDcp => {
                let converter = Converter::new().to(DcpFormat::new());
                converter.convert(dir.join("model.pt"), dir.join("dcp_dcp"))?;
            }
        }
        println!("{}", Used::since(start)?);
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), Box<dyn Error>> {
    if path.is_dir() {
        std::fs::remove_dir_all(path)?
    } else {
        std::fs::remove_file(path)?
    }
    Ok(())
}
