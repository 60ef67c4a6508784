//! What it takes to plan for many ranks, without any data: `dcpctl bench plan`, and PyTorch by `torch_plan.py`.

use std::fmt;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::Fault;
use crate::bench::{Bench, json};
use crate::contestants::{DCP, Python, TORCH, Who};
use crate::report::{Comparison, Figure, Goal, Row, Unit};

const SCRIPT: &str = "torch_plan.py";

/// What both print, as far as it is wanted.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Planned {
    pub(super) save_seconds: f64,
    open_seconds: f64,
    load_plan_seconds: f64,
    pub(super) index_bytes: u64,
    peak_bytes: u64,
}

/// What ranks have, and how they say it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) ranks: u32,
    pub(super) tensors: usize,
    /// Each rank names its regions, rather than mesh and placements.
    pub(super) is_explicit: bool,
}

impl Job {
    /// Lets the command plan, in a process of its own.
    pub(super) fn plan(self, dcpctl: &Path) -> Result<Planned, Fault> {
        json(self.arguments(Command::new(dcpctl).args(["bench", "plan", "--json"])))
    }

    fn plan_by_torch(self, python: &Python) -> Result<Planned, Fault> {
        json(self.arguments(&mut python.command(SCRIPT)))
    }

    fn arguments(self, command: &mut Command) -> &mut Command {
        command.args(["--ranks", &self.ranks.to_string(), "--tensors", &self.tensors.to_string()]);
        command.args(self.is_explicit.then_some("--explicit"))
    }
}

/// For people.
impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ranks, tensors, is_explicit } = self;
        write!(f, "{ranks} x {tensors}{}", if *is_explicit { ", explicit" } else { "" })
    }
}

/// What everybody needed for a job.
type Done = (Job, Vec<(Who, Planned)>);

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let dcpctl = dcpctl(bench)?;
    let (ranks, tensors) = bench.sizes.plan;
    let mut all = Vec::new();
    for is_explicit in [false, true] {
        let job = Job { ranks, tensors, is_explicit };
        let theirs = bench.python.as_ref().map(|python| job.plan_by_torch(python)).transpose();
        let theirs = theirs.inspect_err(|why| println!("PyTorch is left out: {why}")).ok().flatten();
        let planned = std::iter::once((DCP, job.plan(dcpctl)?)).chain(theirs.map(|planned| (TORCH, planned)));
        all.push((job, planned.collect()));
    }
    let (ranks, tensors) = bench.sizes.large_plan;
    let large = Job { ranks, tensors, is_explicit: false };
    Ok(compare(&all, &(large, vec![(DCP, large.plan(dcpctl)?)])))
}

/// `large` is known of ours alone.
fn compare(all: &[Done], large: &Done) -> Vec<Comparison> {
    let comparison = |name, what, unit| Comparison::new(name, what, unit, &[DCP, TORCH]);
    let row = |what: &str, (job, done): &Done, value: &dyn Fn(&Planned) -> f64| {
        let figures = done.iter().map(|(who, planned)| Figure::once(who, value(planned))).collect();
        Row::new(format!("{what}{job}"), figures)
    };
    let at_most = |limit| [Goal::AtMost { of: DCP, limit }];
    let save = |planned: &Planned| planned.save_seconds;
    let load = |planned: &Planned| planned.open_seconds + planned.load_plan_seconds;

    let mut seconds = comparison("plan", "planning for ranks x tensors, all ranks in one process", Unit::Seconds);
    for done in all {
        let at_least = if done.0.is_explicit { 10.0 } else { 100.0 };
        let goal = [Goal::Times { of: DCP, than: TORCH, at_least }];
        seconds.push(row("save ", done, &save), &goal);
        seconds.push(row("open, plan a load ", done, &load), &goal);
    }
    seconds.push(row("save ", large, &save), &at_most(10.0));
    seconds.push(row("plan a load ", large, &|planned| planned.load_plan_seconds), &at_most(0.1));

    let index = |planned: &Planned| planned.index_bytes as f64 / 1e6;
    let peak = |planned: &Planned| planned.peak_bytes as f64 / f64::from(1 << 20);
    let mut indexes = comparison("plan-index", "the size of the index", Unit::Megabytes);
    let mut memory = comparison("plan-memory", "peak of the process that plans for all ranks", Unit::Mebibytes);
    for done in all {
        indexes.push(row("", done, &index), &[]);
        memory.push(row("", done, &peak), &[]);
    }
    indexes.push(row("", large, &index), &at_most(10.0));
    memory.push(row("", large, &peak), &at_most(2048.0));
    vec![seconds, indexes, memory]
}

/// The command, which is built beside this program.
pub(super) fn dcpctl(bench: &Bench) -> Result<&Path, Fault> {
    Ok(bench.dcpctl.as_deref().ok_or("there is no dcpctl beside this program: cargo build --release -p dcp-cli")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"{"ranks": 16, "tensors": 5, "explicit": false, "shards": 80, "phases": [{"name": "local plans", "seconds": 0.5}],
        "save_seconds": 2.0, "open_seconds": 0.25, "load_plan_seconds": 0.05, "index_bytes": 9000000, "plan_bytes": 1, "peak_bytes": 1048576}"#;

    #[test]
    fn limits_are_judged_by_what_the_command_prints() -> Result<(), Fault> {
        let planned: Planned = serde_json::from_str(PRINTED)?;
        let job = Job { ranks: 16, tensors: 5, is_explicit: false };
        let done = (job, vec![(DCP, planned)]);
        let comparisons =
            compare(&[(job, vec![(DCP, planned), (TORCH, Planned { save_seconds: 150.0, ..planned })])], &done);
        let rows = comparisons.iter().flat_map(|comparison| &comparison.rows);
        let verdicts: Vec<_> =
            rows.flat_map(|row| &row.verdicts).map(|verdict| (verdict.found, verdict.is_met)).collect();
        let met = |found| (Some(found), Some(true));
        let missed = |found| (Some(found), Some(false));
        assert_eq!(verdicts, [missed(75.0), missed(1.0), met(2.0), met(0.05), met(9.0), met(1.0)]);
        Ok(())
    }
}
