//! Measures everything: how fast states are saved and loaded, what planning takes, in how much memory; beside the machine's own limits and,
//! if a Python with torch is given, PyTorch.
//!
//! `cargo xtask bench` builds and starts it; `docs/benchmarks.md` says what the comparisons mean.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its result")]

mod bench;
mod contestants;
mod contests;
mod machine;
mod report;
mod sizes;
mod threads;
mod turns;
mod used;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use bench::Bench;
use contestants::Python;
use machine::Machine;
use report::{LeftOut, Report};
use sizes::Sizes;
use used::Used;

/// Why something could not be measured.
type Fault = Box<dyn std::error::Error>;

/// Measures this system beside the machine's own limits and PyTorch.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Args {
    /// Small sizes, once: a look that takes a minute or two.
    #[arg(long)]
    quick: bool,
    /// Tiny sizes: does it run at all?
    #[arg(long, hide = true, conflicts_with = "quick")]
    tiny: bool,
    /// Measure this alone (may be given several times).
    #[arg(long, value_name = "NAME", value_parser = names())]
    only: Vec<String>,
    /// How often each figure is measured (3 times unless told; quickly, once).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    repeat: Option<u16>,
    /// Where the files go that are saved and loaded; a temporary directory unless told.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the results go: `results.json`, `results.md`, and plots.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// A Python interpreter with torch (and, for buckets, with boto3 and s3torchconnector).
    #[arg(long, value_name = "PYTHON")]
    torch: Option<PathBuf>,
    #[cfg(feature = "s3")]
    #[command(flatten)]
    bucket: contests::bucket::Choice,
    #[command(subcommand)]
    child: Option<Child>,
}

/// What this program does in a process of its own, which prints the time and the memory.
#[derive(Debug, Subcommand)]
#[command(hide = true)]
enum Child {
    #[command(hide = true)]
    Memory(contests::memory::Child),
    #[command(hide = true)]
    Convert(contests::convert::Child),
    #[command(hide = true)]
    Open(contests::torch_read::Child),
    #[cfg(feature = "s3")]
    #[command(hide = true)]
    Bucket(contests::bucket::Child),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.child {
        Some(child) => child.run().map(|used| println!("{used}")),
        None => measure(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

impl Child {
    fn run(&self) -> Result<Used, Fault> {
        match self {
            Self::Memory(child) => child.run(),
            Self::Convert(child) => child.run(),
            Self::Open(child) => child.run(),
            #[cfg(feature = "s3")]
            Self::Bucket(child) => child.run(),
        }
    }
}

/// Runs all contests, even after one could not be; writes what there is.
fn measure(args: &Args) -> Result<(), Fault> {
    let start = Instant::now();
    let temporary = tempfile::tempdir()?;
    let dir = args.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    let bench = args.bench(dir.canonicalize()?);
    let version = bench.python.as_ref().map(Python::version).transpose()?;
    let machine = Machine::this(&bench.dir, version)?;
    print!("{machine}");
    let mut report =
        Report { command: args.command(), machine, comparisons: Vec::new(), left_out: Vec::new(), seconds: 0.0 };
    if bench.python.is_none() {
        report.leave_out("PyTorch", "no Python that has it was named".to_owned());
    }
    for contest in contests::ALL.iter().filter(|contest| args.is_chosen(contest.name)) {
        let began = Instant::now();
        match (contest.run)(&bench) {
            Ok(comparisons) => {
                comparisons.iter().for_each(|comparison| print!("{}", report::text(comparison)));
                report.comparisons.extend(comparisons);
            }
            Err(why) => report.leave_out(contest.name, why.to_string()),
        }
        println!("  ({}: {:.0} s)", contest.name, began.elapsed().as_secs_f64());
        report.seconds = start.elapsed().as_secs_f64();
        // What is measured is not lost if the next one takes the machine down.
        report.write(&args.out)?;
    }
    println!("\n{}; {:.0} s; written to {}", report.sum_up(), report.seconds, args.out.display());
    Ok(())
}

impl Args {
    fn bench(&self, dir: PathBuf) -> Bench {
        let sizes = match (self.tiny, self.quick) {
            (true, _) => Sizes::TINY,
            (_, true) => Sizes::QUICK,
            _ => Sizes::FULL,
        };
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("dcpctl"));
        Bench {
            sizes,
            repeat: self.repeat.map_or(if self.quick || self.tiny { 1 } else { 3 }, usize::from),
            dir,
            python: self.torch.clone().map(Python::new),
            dcpctl: beside().filter(|dcpctl| dcpctl.is_file()),
            #[cfg(feature = "s3")]
            bucket: self.bucket.place(),
        }
    }

    /// How to measure the same elsewhere: without the paths of this machine.
    fn command(&self) -> String {
        let mut command = "cargo xtask bench".to_owned();
        command += if self.quick { " --quick" } else { "" };
        self.only.iter().for_each(|name| command += &format!(" --only {name}"));
        self.repeat.iter().for_each(|repeat| command += &format!(" --repeat {repeat}"));
        command
    }

    fn is_chosen(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

impl Report {
    fn leave_out(&mut self, what: &str, why: String) {
        println!("\nnot measured: {what} ({why})");
        self.left_out.push(LeftOut { what: what.to_owned(), why });
    }
}

fn names() -> clap::builder::PossibleValuesParser {
    contests::ALL.iter().map(|contest| contest.name).collect::<Vec<_>>().into()
}
