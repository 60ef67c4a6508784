//! What is to be reached, and whether it is.

use serde::Serialize;

use super::row::Row;
use super::unit::Unit;
use crate::contestants::Who;

/// What a contestant is to reach in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// So many times as good as another one.
    Times { of: Who, than: Who, at_least: f64 },
    /// No more than this, in the row's unit.
    AtMost { of: Who, limit: f64 },
}

/// A goal, and what was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    /// For people.
    pub(crate) goal: String,
    /// What the goal is about; `None` where somebody did not take part.
    pub(crate) found: Option<f64>,
    pub(crate) is_met: Option<bool>,
}

impl Goal {
    pub(crate) fn judge(&self, row: &Row, unit: Unit) -> Verdict {
        match *self {
            Self::Times { of, than, at_least } => {
                let found = row.of(of).zip(row.of(than)).map(|(value, other)| unit.times(value, other));
                Verdict::new(format!("{of} >= {at_least} x {than}"), found, |found| found >= at_least)
            }
            Self::AtMost { of, limit } => {
                let goal = format!("{of} <= {} {}", unit.show(limit), unit.symbol());
                Verdict::new(goal, row.of(of), |found| found <= limit)
            }
        }
    }
}

impl Verdict {
    /// About a number that is no figure of the row.
    pub(crate) fn at_most(what: &str, found: f64, limit: f64) -> Self {
        Self::new(format!("{what} <= {limit}"), Some(found), |found| found <= limit)
    }

    fn new(goal: String, found: Option<f64>, is_met: impl Fn(f64) -> bool) -> Self {
        Self { goal, found, is_met: found.map(is_met) }
    }

    /// For people.
    pub(crate) fn outcome(&self) -> String {
        let Some((found, is_met)) = self.found.zip(self.is_met) else { return "not measured".to_owned() };
        format!("{found:.2} {}", if is_met { "met" } else { "NOT MET" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestants::{DCP, TORCH};
    use crate::report::Figure;

    fn row(dcp: f64, torch: Option<f64>) -> Row {
        let torch = torch.map(|torch| Figure::once(TORCH, torch));
        Row::new("row", [Some(Figure::once(DCP, dcp)), torch].into_iter().flatten().collect())
    }

    const TWICE: Goal = Goal::Times { of: DCP, than: TORCH, at_least: 2.0 };

    #[test]
    fn of_rates_more_is_better_of_times_less() {
        let verdict = |unit, dcp, torch| TWICE.judge(&row(dcp, Some(torch)), unit).is_met;
        assert_eq!(verdict(Unit::GbPerSecond, 4.0, 2.0), Some(true));
        assert_eq!(verdict(Unit::GbPerSecond, 2.0, 4.0), Some(false));
        assert_eq!(verdict(Unit::Seconds, 4.0, 2.0), Some(false));
        assert_eq!(verdict(Unit::Seconds, 2.0, 4.0), Some(true));
    }

    #[test]
    fn without_a_figure_there_is_no_verdict() {
        let verdict = TWICE.judge(&row(1.0, None), Unit::Seconds);
        assert_eq!(verdict, Verdict { goal: "dcp >= 2 x PyTorch".to_owned(), found: None, is_met: None });
        assert_eq!(verdict.outcome(), "not measured");
    }

    #[test]
    fn what_is_above_a_limit_is_told() {
        let verdict = Goal::AtMost { of: DCP, limit: 10.0 }.judge(&row(10.5, None), Unit::Megabytes);
        assert_eq!(verdict.goal, "dcp <= 10.0 MB");
        assert_eq!(verdict.outcome(), "10.50 NOT MET");
        assert_eq!(Verdict::at_most("bytes read / needed", 1.0, 1.05).outcome(), "1.00 met");
    }
}
