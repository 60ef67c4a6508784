//! The steps of `cargo xtask test`.

use std::time::{Duration, Instant};

use crate::run::{Failure, Shell};
use crate::{examples, features, fuzz, instructions, pytorch, reader, servers, tools};

/// One thing that is checked.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its name, for `--only` and `--skip`.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) what: &'static str,
    run: fn(&Shell) -> Result<(), Failure>,
}

/// All of them, in order: what is quick and often wrong comes first.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "tools", what: "what the other steps need is installed", run: tools::need_components },
    Step { name: "fmt", what: "the code is formatted", run: fmt },
    Step { name: "clippy", what: "no warnings, in any target", run: clippy },
    Step {
        name: "features",
        what: "the facade compiles with none and with each of its features",
        run: features::check,
    },
    Step { name: "test", what: "unit and integration tests", run: test },
    Step { name: "doctest", what: "the examples in the documentation", run: doctest },
    Step { name: "doc", what: "the documentation builds without warnings", run: doc },
    Step { name: "examples", what: "every example runs", run: examples::run_all },
    Step { name: "reader", what: "the reader in docs/ agrees about the fixture", run: reader::check },
    Step {
        name: "instructions",
        what: "planning and indexes take no more instructions than they did",
        run: instructions::check,
    },
    Step { name: "pytorch", what: "PyTorch loads what is saved in its format", run: pytorch::check },
    Step { name: "servers", what: "object stores over real servers, and over failing ones", run: servers::check },
    Step { name: "fuzz", what: "each fuzz target, 20 seconds", run: fuzz_all },
];

/// Runs the chosen steps, all of them even after one has failed, and sums up.
pub(crate) fn run(shell: &Shell, only: &[String], skip: &[String]) -> Result<(), Failure> {
    for name in only.iter().chain(skip) {
        if !STEPS.iter().any(|step| step.name == name) {
            let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
            return Err(Failure::new(format!("there is no step {name}; there are {}", known.join(", "))));
        }
    }
    let chosen = |step: &&Step| {
        let named = |names: &[String]| names.iter().any(|name| name == step.name);
        (only.is_empty() || named(only)) && !named(skip)
    };
    let start = Instant::now();
    let mut done = Vec::new();
    for step in STEPS.iter().filter(chosen) {
        println!("\n=== {}: {}", step.name, step.what);
        let start = Instant::now();
        let outcome = (step.run)(shell);
        if let Err(failure) = &outcome {
            println!("{failure}");
        }
        done.push((step, outcome, start.elapsed()));
    }
    sum_up(&done, start.elapsed())
}

fn sum_up(done: &[(&Step, Result<(), Failure>, Duration)], elapsed: Duration) -> Result<(), Failure> {
    println!("\n{:<14}{:<10}{:>8}  ", "step", "result", "seconds");
    for (step, outcome, took) in done {
        let (result, why) = match outcome {
            Ok(()) => ("ok", String::new()),
            Err(failure) if failure.is_left_out() => ("LEFT OUT", failure.to_string()),
            Err(failure) => ("FAILED", failure.to_string()),
        };
        println!("{:<14}{result:<10}{:>8.1}  {why}", step.name, took.as_secs_f64());
    }
    let named = |left_out: bool| {
        let is_it =
            |outcome: &Result<(), Failure>| outcome.as_ref().is_err_and(|failure| failure.is_left_out() == left_out);
        done.iter().filter(|(_, outcome, _)| is_it(outcome)).map(|(step, ..)| step.name).collect::<Vec<_>>()
    };
    let (failed, left_out, total) = (named(false), named(true), done.len());
    if failed.is_empty() {
        let passed = total - left_out.len();
        let not_done = if left_out.is_empty() { String::new() } else { format!("; LEFT OUT: {}", left_out.join(", ")) };
        println!("cargo xtask test: ok. {passed} steps passed in {:.0} s{not_done}", elapsed.as_secs_f64());
        Ok(())
    } else {
        Err(Failure::new(format!("test: FAILED. {} of {total} steps failed: {}", failed.len(), failed.join(", "))))
    }
}

fn fmt(shell: &Shell) -> Result<(), Failure> {
    shell.run(shell.cargo(["fmt", "--all", "--check"]))?;
    shell.run(shell.cargo(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
}

fn clippy(shell: &Shell) -> Result<(), Failure> {
    shell.run(shell.cargo([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
}

fn test(shell: &Shell) -> Result<(), Failure> {
    let targets = ["--workspace", "--all-features", "--lib", "--bins", "--tests", "--examples", "--no-fail-fast"];
    let runner: &[&str] = if tools::has_nextest(shell) { &["nextest", "run"] } else { &["test"] };
    shell.run(shell.cargo(runner.iter().copied().chain(targets)))
}

fn doctest(shell: &Shell) -> Result<(), Failure> {
    shell.run(shell.cargo(["test", "--doc", "--workspace", "--all-features", "--no-fail-fast"]))
}

fn doc(shell: &Shell) -> Result<(), Failure> {
    let mut cargo = shell.cargo(["doc", "--workspace", "--no-deps", "--all-features"]);
    cargo.env("RUSTDOCFLAGS", "-D warnings");
    shell.run(cargo)
}

fn fuzz_all(shell: &Shell) -> Result<(), Failure> {
    fuzz::run_all(shell, Duration::from_secs(20))
}
