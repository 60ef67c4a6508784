//! What comes out: figures, goals, tables, plots.

mod goal;
mod plot;
mod row;
mod table;
mod unit;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;

pub(crate) use self::goal::{Goal, Verdict};
pub(crate) use self::row::{Comparison, Figure, Row, median};
pub(crate) use self::table::text;
pub(crate) use self::unit::Unit;
use crate::Fault;
use crate::machine::Machine;

/// All that was measured in one run of this program.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// How it was started.
    pub(crate) command: String,
    pub(crate) machine: Machine,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) left_out: Vec<LeftOut>,
    pub(crate) seconds: f64,
}

/// What was not measured.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) what: String,
    pub(crate) why: String,
}

impl Report {
    /// Writes `results.json`, `results.md`, and a plot of each comparison, into a directory.
    pub(crate) fn write(&self, to: &Path) -> Result<(), Fault> {
        fs::create_dir_all(to)?;
        fs::write(to.join("results.json"), serde_json::to_string_pretty(self)? + "\n")?;
        let mut page = self.head();
        for comparison in &self.comparisons {
            write!(page, "\n## {}\n\n{}.\n\n{}", comparison.name, comparison.what, table::markdown(comparison))?;
            if let Some(svg) = plot::svg(comparison)? {
                let name = format!("{}.svg", comparison.name);
                fs::write(to.join(&name), svg)?;
                write!(page, "\n![{}]({name})\n", comparison.name)?;
            }
        }
        Ok(fs::write(to.join("results.md"), page)?)
    }

    /// How many goals there are, are met, and could not be judged.
    pub(crate) fn sum_up(&self) -> String {
        let verdicts = || self.comparisons.iter().flat_map(|comparison| &comparison.rows).flat_map(|row| &row.verdicts);
        let count = |outcome| verdicts().filter(|verdict| verdict.is_met == outcome).count();
        let (met, missed, open) = (count(Some(true)), count(Some(false)), count(None));
        format!("{} goals: {met} met, {missed} not met, {open} not measured", met + missed + open)
    }

    fn head(&self) -> String {
        let mut head = format!("# Results\n\n`{}` took {:.0} s.\n\n{}", self.command, self.seconds, self.machine);
        head += &format!("\n{}. What the names mean: [Benchmarks](../benchmarks.md).\n", self.sum_up());
        for LeftOut { what, why } in &self.left_out {
            head += &format!("\nNot measured: {what} ({why}).\n");
        }
        head
    }
}
