//! What was measured, for people and for programs.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use super::phase;
use crate::bench::phases::Phases;
use crate::columns::{Align, Columns};
use crate::failure::Failure;
use crate::units;

#[derive(Debug)]
pub(super) struct Report {
    pub(super) ranks: u32,
    pub(super) tensors: usize,
    pub(super) explicit: bool,
    /// How many parts of tensors all ranks have.
    pub(super) shards: u64,
    pub(super) phases: Phases,
    pub(super) index_bytes: u64,
    /// What a rank is sent of the plan, at most.
    pub(super) plan_bytes: u64,
    /// How many reads the load plan has.
    pub(super) reads: u64,
    pub(super) peak_bytes: Option<u64>,
}

impl Report {
    pub(super) fn text(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let (ranks, tensors) = (u64::from(self.ranks), self.tensors as u64);
        let how = if self.explicit { "as explicit regions" } else { "over a mesh" };
        let (ranks, tensors) = (units::count(ranks, "rank"), units::count(tensors, "tensor"));
        writeln!(out, "{ranks}, {tensors} {how}: {}; all ranks in one process", units::count(self.shards, "shard"))?;
        let size = |name| match name {
            phase::EXCHANGE => format!("{} of the plan for each rank", units::bytes(self.plan_bytes)),
            phase::WRITTEN => units::bytes(self.index_bytes),
            phase::LOAD => format!("of one rank, {}", units::count(self.reads, "read")),
            _ => String::new(),
        };
        let rows = self.phases.iter().map(|(name, time)| vec![name.to_owned(), units::time(time), size(name)]);
        let mut rows: Vec<_> = rows.collect();
        rows.push(vec!["save, in all".to_owned(), units::time(self.save())]);
        if let Some(peak) = self.peak_bytes {
            rows.push(vec!["peak memory".to_owned(), units::bytes(peak)]);
        }
        Ok(Columns::new([Align::Left, Align::Right, Align::Left]).write_all(out, 2, &rows)?)
    }

    pub(super) fn json(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let seconds = |time: Duration| time.as_secs_f64();
        let phases = self.phases.iter().map(|(name, time)| json!({ "name": name, "seconds": seconds(time) }));
        let line = json!({
            "ranks": self.ranks,
            "tensors": self.tensors,
            "explicit": self.explicit,
            "shards": self.shards,
            "phases": phases.collect::<Vec<_>>(),
            "save_seconds": seconds(self.save()),
            "open_seconds": seconds(self.phases.of(phase::READ)),
            "load_plan_seconds": seconds(self.phases.of(phase::LOAD)),
            "index_bytes": self.index_bytes,
            "plan_bytes": self.plan_bytes,
            "peak_bytes": self.peak_bytes,
        });
        Ok(writeln!(out, "{line}")?)
    }

    /// All that a save takes.
    fn save(&self) -> Duration {
        let of_load = [phase::READ, phase::LOAD];
        self.phases.iter().filter(|(name, _)| !of_load.contains(name)).map(|(_, time)| time).sum()
    }
}
