//! Counts that are kept in a file.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::cache::cannot;
use crate::run::Failure;

/// The instructions of each case.
pub(super) type Counts = BTreeMap<String, u64>;

/// What was counted, and what had made the program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Figures {
    /// The platform, as the compiler calls it: those of others have other instructions.
    pub(super) host: String,
    /// The compiler's version.
    pub(super) rustc: String,
    /// What was counted.
    pub(super) counts: Counts,
}

impl Figures {
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|error| cannot("read", file, &error))?;
        Self::parse(&text).ok_or_else(|| Failure::new(format!("{} has no figures", file.display())))
    }

    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        std::fs::write(file, self.to_json()).map_err(|error| cannot("write", file, &error))?;
        println!("{} is written anew", file.display());
        Ok(())
    }

    /// Prints each count beside the one that is kept.
    pub(super) fn show_beside(&self, kept: &Self) {
        println!("{:<28}{:>14}{:>14}{:>8}", "case", "figure", "found", "ratio");
        for (case, found) in &self.counts {
            let kept = kept.counts.get(case);
            let ratio = kept.map_or_else(String::new, |kept| format!("{:.3}", ratio(*found, *kept)));
            let kept = kept.map_or_else(|| "none".to_owned(), u64::to_string);
            println!("{case:<28}{kept:>14}{found:>14}{ratio:>8}");
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| all[name].as_str().map(str::to_owned);
        let counts = all["instructions"].as_object()?.iter();
        let counts = counts.map(|(case, count)| Some((case.clone(), count.as_u64()?))).collect::<Option<_>>()?;
        Some(Self { host: text("host")?, rustc: text("rustc")?, counts })
    }

    fn to_json(&self) -> String {
        format!("{:#}\n", json!({ "host": self.host, "rustc": self.rustc, "instructions": self.counts }))
    }
}

/// How many times as much.
pub(super) fn ratio(found: u64, figure: u64) -> f64 {
    found as f64 / figure.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let counts = [("plan".to_owned(), 12), ("open".to_owned(), u64::MAX)].into();
        let figures = Figures { host: "x86_64-unknown-linux-gnu".into(), rustc: "1.95.0".into(), counts };
        let text = figures.to_json();
        assert_eq!(Figures::parse(&text), Some(figures));
        assert!(text.contains("\n    \"plan\": 12\n"), "a line for each: {text}");
    }

    #[test]
    fn what_is_no_figures_is_refused() {
        assert_eq!(Figures::parse("{}"), None);
        assert_eq!(Figures::parse(r#"{"host": "a", "rustc": "b", "instructions": {"plan": -1}}"#), None);
        assert_eq!(Figures::parse(r#"{"host": "a", "instructions": {"plan": 1}}"#), None);
    }
}
