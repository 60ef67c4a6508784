//! How fast PyTorch's checkpoints are read, beside PyTorch itself.
//!
//! `cargo run --release -p dcp-benches --bin torch_read -- [--torch PYTHON]`
//!
//! PyTorch writes what is read: without a Python that has torch there is nothing to measure. Contestants take turns in one run; every figure is
//! a median over `--repeat` runs.
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

mod columns;
mod open;
mod slice;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use dcp_benches::{Python, median};

/// Measures opening an index of many ranks, loading rows as columns, and reading a slice of a large chunk.
#[derive(Debug, Parser)]
struct Args {
    /// How many ranks have written the large index.
    #[arg(long, default_value_t = 1024)]
    ranks: usize,
    /// How many tensors it lists, each with a chunk of every rank.
    #[arg(long, default_value_t = 1000)]
    tensors: usize,
    /// The size of the state whose rows are loaded as columns; the large chunk has an eighth of it.
    #[arg(long, default_value_t = 2.0)]
    gib: f64,
    /// What is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Open, Part::Columns, Part::Slice])]
    parts: Vec<Part>,
    /// How often each figure is measured.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Where the files go; a temporary directory unless told.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A Python interpreter with torch.
    #[arg(long)]
    torch: Option<PathBuf>,
    /// Opens the checkpoint in a directory, and prints the time and the peak of memory.
    #[arg(long, hide = true)]
    child: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Open,
    Columns,
    Slice,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if let Some(dir) = &args.child {
        return open::child(dir);
    }
    let Some(python) = args.torch.clone().map(Python::new) else {
        println!("skipped: opening, rows as columns, slice (no --torch)");
        return Ok(());
    };
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    let bytes = (args.gib * f64::from(1 << 30)) as usize;
    println!("median of {} runs{:>26}{:>10}{:>12}", args.repeat, "dcp", "torch", "torch/dcp");
    for part in args.parts {
        match part {
            Part::Open => open::run(&python, &dir.join("index"), args.ranks, args.tensors, args.repeat)?,
            Part::Columns => columns::run(&python, &dir.join("rows"), bytes, args.repeat)?,
            Part::Slice => slice::run(&python, &dir.join("chunk"), bytes / 8, args.repeat)?,
        }
    }
    Ok(())
}

/// Prints how long both took.
fn report(what: &str, ours: &[Duration], torch: &[Duration]) {
    let (ours, torch) = (median(ours), median(torch));
    println!("  {what:<36}{ours:>8.4} s{torch:>8.3} s{:>12.1}", torch / ours);
}
