//! The project's tasks. `cargo xtask test` is how the project is tested, on a developer's machine and in CI alike.

// A command line tool talks.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod cache;
mod environment;
mod examples;
mod features;
mod fuzz;
mod instructions;
mod pytorch;
mod reader;
mod run;
mod servers;
mod steps;
mod tools;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::run::Shell;

/// The project's tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check and every test.
    Test {
        /// Run this step alone (may be given several times).
        #[arg(long, value_name = "STEP")]
        only: Vec<String>,
        /// Leave this step out (may be given several times).
        #[arg(long, value_name = "STEP")]
        skip: Vec<String>,
    },
    /// Run one fuzz target for some time, starting from its seeds and from what earlier runs found.
    Fuzz {
        /// The target, as listed by `cargo xtask list`.
        target: String,
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Count the instructions that fixed pieces of work take, and compare them with the figures that are kept.
    Instructions {
        /// Keep what is counted as the new figures.
        #[arg(long)]
        accept: bool,
    },
    /// Measure everything, beside the machine's own limits and PyTorch; see docs/benchmarks.md.
    Bench(bench::Options),
    /// List the steps of `test`, the fuzz targets and the examples.
    List,
}

fn main() -> ExitCode {
    let shell = Shell::new();
    let outcome = match Arguments::parse().task {
        Task::Test { only, skip } => steps::run(&shell, &only, &skip),
        Task::Fuzz { target, seconds } => tools::need_cpp_compiler(&shell)
            .and_then(|()| fuzz::build(&shell))
            .and_then(|()| fuzz::run(&shell, &target, Duration::from_secs(seconds))),
        Task::Instructions { accept: false } => instructions::check(&shell),
        Task::Instructions { accept: true } => instructions::accept(&shell),
        Task::Bench(options) => bench::run(&shell, &options),
        Task::List => list(&shell),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn list(shell: &Shell) -> Result<(), run::Failure> {
    println!("steps of `cargo xtask test`:");
    for step in steps::STEPS {
        println!("  {:<14}{}", step.name, step.what);
    }
    println!("fuzz targets:");
    for target in fuzz::targets(shell)? {
        println!("  {target}");
    }
    println!("examples (`cargo run -p dcp-examples --example NAME`):");
    for example in examples::names(shell)? {
        println!("  {example}");
    }
    Ok(())
}
