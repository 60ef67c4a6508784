//! How fast a state is saved and loaded, beside plain files and, if a Python with torch is given, PyTorch's own DCP.
//!
//! `cargo run --release -p dcp-benches --bin throughput -- [--torch PYTHON]`
//!
//! Every figure is a median over `--repeat` runs, in GB/s of state. All contestants take turns in one run, on the same
//! directory: only the ratios between them mean anything on another machine.
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

mod contest;
mod ours;
mod plain;
mod torch;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

use contest::Table;

/// Measures saving, loading, and loading rows as columns.
#[derive(Debug, Parser)]
struct Args {
    /// The size of the state in MiB.
    #[arg(long, default_value_t = 2048)]
    mib: usize,
    /// Into how many tensors (of float32, square-ish) it falls.
    #[arg(long, default_value_t = 64)]
    tensors: usize,
    /// Numbers of ranks to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8])]
    ranks: Vec<usize>,
    /// How often each figure is measured.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Where the files go; a temporary directory unless told.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A Python interpreter with torch, to measure PyTorch's DCP as well.
    #[arg(long)]
    torch: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    let shape = contest::Shape::new(args.mib, args.tensors);
    println!(
        "{} tensors of {} x {} float32, {:.2} GB; median of {} runs, GB/s",
        shape.tensors,
        shape.rows,
        shape.columns,
        shape.bytes() as f64 / 1e9,
        args.repeat
    );
    for &ranks in &args.ranks {
        let mut table = Table::new(ranks, shape.bytes());
        for _ in 0..args.repeat {
            plain::run(&dir, &shape, ranks, &mut table)?;
            ours::run(&dir, &shape, ranks, &mut table)?;
            if let Some(python) = &args.torch {
                torch::run(python, &dir, &shape, ranks, &mut table)?;
            }
        }
        table.print();
    }
    Ok(())
}
