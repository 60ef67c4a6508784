//! What was measured, for people and for programs.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use super::Times;
use crate::args::BenchIo;
use crate::columns::{Align, Columns};
use crate::failure::Failure;
use crate::units;

/// Its name, its times, and the times to compare them with.
type Line<'t> = (&'static str, &'t [Duration], Option<&'t [Duration]>);

pub(super) struct Report<'a> {
    pub(super) location: String,
    /// How many bytes each line is about.
    pub(super) bytes: u64,
    pub(super) args: &'a BenchIo,
    pub(super) times: Times,
    pub(super) peak_bytes: Option<u64>,
}

impl Report<'_> {
    pub(super) fn text(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let (location, bytes) = (units::printable(&self.location), units::bytes(self.bytes));
        let (jobs, repeat) = (self.args.jobs, self.args.repeat);
        writeln!(out, "{location}: {bytes}, {jobs} at a time, medians of {repeat}")?;
        let mut rows = Vec::new();
        for (name, times, beside) in self.lines() {
            let time = median(times);
            let share = beside.map(|beside| format!("{:.2} of plain", ratio(beside, times)));
            let rate = units::rate(self.bytes, time);
            rows.push(vec![name.to_owned(), units::time(time), rate, share.unwrap_or_default()]);
        }
        if let Some(peak) = self.peak_bytes {
            rows.push(vec!["peak memory".to_owned(), units::bytes(peak)]);
        }
        Ok(Columns::new([Align::Left, Align::Right, Align::Right, Align::Left]).write_all(out, 2, &rows)?)
    }

    pub(super) fn json(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let Times { put, save, get, load, load_unchecked } = &self.times;
        let lines = self.lines().map(|(name, times, _)| {
            let seconds = median(times).as_secs_f64();
            let rate = self.bytes as f64 / 1e9 / seconds.max(1e-9);
            json!({ "name": name, "seconds": seconds, "bytes": self.bytes, "gb_per_s": rate })
        });
        let line = json!({
            "location": self.location,
            "bytes": self.bytes,
            "jobs": self.args.jobs,
            "repeat": self.args.repeat,
            "lines": lines,
            "save_ratio": ratio(put, save),
            "load_ratio": ratio(get, load),
            "load_unchecked_ratio": ratio(get, load_unchecked),
            "peak_bytes": self.peak_bytes,
        });
        Ok(writeln!(out, "{line}")?)
    }

    fn lines(&self) -> [Line<'_>; 5] {
        let Times { put, save, get, load, load_unchecked } = &self.times;
        [
            ("plain put", put, None),
            ("save", save, Some(put)),
            ("plain get", get, None),
            ("load", load, Some(get)),
            ("load unchecked", load_unchecked, Some(get)),
        ]
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The speed of one as a share of the speed of another.
fn ratio(plain: &[Duration], other: &[Duration]) -> f64 {
    median(plain).as_secs_f64() / median(other).as_secs_f64().max(1e-9)
}
