//! What was measured: a comparison has rows, a row a figure of each contestant.

use serde::Serialize;

use super::goal::{Goal, Verdict};
use super::unit::Unit;
use crate::contestants::Who;

/// Figures of one unit, which can be compared; one table and one plot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    /// A name for files and people: that of the contest, and a word more where it has several.
    pub(crate) name: &'static str,
    /// What is done.
    pub(crate) what: String,
    pub(crate) unit: Unit,
    /// The columns.
    pub(crate) contestants: Vec<Who>,
    /// What the rows have different, if it is a number: they make lines then, rather than bars.
    pub(crate) over: Option<&'static str>,
    pub(crate) rows: Vec<Row>,
}

/// What all contestants needed for the same.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// Where it lies among the others, if these are in order.
    pub(crate) at: Option<f64>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) verdicts: Vec<Verdict>,
}

/// What one contestant needed, in the way that suits it best.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) contestant: Who,
    /// The median of the runs.
    pub(crate) median: f64,
    /// All of them, in order of time.
    pub(crate) runs: Vec<f64>,
    /// In which way, if it had the choice.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) way: String,
    /// The medians of its other ways.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) other_ways: Vec<(String, f64)>,
}

impl Comparison {
    pub(crate) fn new(name: &'static str, what: impl Into<String>, unit: Unit, contestants: &[Who]) -> Self {
        Self { name, what: what.into(), unit, contestants: contestants.to_vec(), over: None, rows: Vec::new() }
    }

    /// The same, as lines over this.
    pub(crate) fn over(self, over: &'static str) -> Self {
        Self { over: Some(over), ..self }
    }

    /// One more row, judged by these goals.
    pub(crate) fn push(&mut self, mut row: Row, goals: &[Goal]) {
        let verdicts: Vec<_> = goals.iter().map(|goal| goal.judge(&row, self.unit)).collect();
        row.verdicts.extend(verdicts);
        self.rows.push(row);
    }
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, figures: Vec<Figure>) -> Self {
        Self { what: what.into(), at: None, figures, verdicts: Vec::new() }
    }

    /// The same, at a place of the axis.
    pub(crate) fn at(self, at: f64) -> Self {
        Self { at: Some(at), ..self }
    }

    /// What a contestant needed, if it took part.
    pub(crate) fn of(&self, contestant: Who) -> Option<f64> {
        self.figures.iter().find(|figure| figure.contestant == contestant).map(|figure| figure.median)
    }
}

impl Figure {
    /// Of some runs, of which there is at least one.
    pub(crate) fn new(contestant: Who, runs: Vec<f64>) -> Self {
        Self { contestant, median: median(&runs), runs, way: String::new(), other_ways: Vec::new() }
    }

    /// Of what was measured once.
    pub(crate) fn once(contestant: Who, value: f64) -> Self {
        Self::new(contestant, vec![value])
    }
}

/// The median (of an even number, the upper one).
pub(crate) fn median(runs: &[f64]) -> f64 {
    let mut runs = runs.to_vec();
    runs.sort_by(f64::total_cmp);
    runs.get(runs.len() / 2).copied().unwrap_or(f64::NAN)
}
