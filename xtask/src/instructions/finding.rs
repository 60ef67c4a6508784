//! What counts tell.

use std::fmt;

use super::figures::{Counts, ratio};

/// More or less by so much of a figure may be the compiler, the C library, or the seeds of hash maps (which make less than 1 %).
const MARGIN: f64 = 0.1;
/// What is twice as large may take so many times as much: sorting does, anything quadratic comes to about 4.
const GROWTH: f64 = 2.3;
/// The case of this name is twice as large as the one without it.
const TWICE: &str = "-twice";

/// Something that catches the eye.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// A case takes more than its figure says.
    More { case: String, figure: u64, found: u64 },
    /// It takes less, which is no fault.
    Less { case: String, figure: u64, found: u64 },
    /// A case has no figure.
    New { case: String, found: u64 },
    /// A figure has no case.
    Gone { case: String },
    /// A case of twice the size takes far more than twice as much.
    Steep { case: String, once: u64, twice: u64 },
    /// A case of twice the size has no other.
    Alone { case: String },
}

impl Finding {
    pub(super) fn is_fault(&self) -> bool {
        !matches!(self, Self::Less { .. })
    }
}

/// Compares counts with the figures.
pub(super) fn compare(figures: &Counts, found: &Counts) -> Vec<Finding> {
    let gone = figures.keys().filter(|case| !found.contains_key(*case));
    let gone = gone.map(|case| Finding::Gone { case: case.clone() });
    let of_case = |(case, found): (&String, &u64)| {
        let (case, found) = (case.clone(), *found);
        let Some(&figure) = figures.get(&case) else { return Some(Finding::New { case, found }) };
        let ratio = ratio(found, figure);
        if ratio > 1.0 + MARGIN {
            Some(Finding::More { case, figure, found })
        } else if ratio < 1.0 - MARGIN {
            Some(Finding::Less { case, figure, found })
        } else {
            None
        }
    };
    found.iter().filter_map(of_case).chain(gone).collect()
}

/// Compares counts with each other, which needs no figures.
pub(super) fn growth(found: &Counts) -> Vec<Finding> {
    let of_case = |(name, &twice): (&String, &u64)| {
        let case = name.strip_suffix(TWICE)?;
        let Some(&once) = found.get(case) else { return Some(Finding::Alone { case: name.clone() }) };
        (ratio(twice, once) > GROWTH).then(|| Finding::Steep { case: case.to_owned(), once, twice })
    };
    found.iter().filter_map(of_case).collect()
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::More { case, figure, found } => {
                let (times, limit) = (ratio(*found, *figure), 1.0 + MARGIN);
                write!(
                    f,
                    "{case} takes {found} instructions, {times:.2} times the {figure} of its figure (at most {limit})"
                )
            }
            Self::Less { case, figure, found } => {
                let times = ratio(*found, *figure);
                write!(f, "{case} takes just {found} instructions, {times:.2} times the {figure} of its figure")
            }
            Self::New { case, found } => write!(f, "{case} takes {found} instructions and has no figure yet"),
            Self::Gone { case } => write!(f, "{case} has a figure and is no case"),
            Self::Steep { case, once, twice } => {
                let times = ratio(*twice, *once);
                write!(
                    f,
                    "{case} takes {once} instructions, and {times:.2} times as many, {twice}, at twice the size (at most {GROWTH})"
                )
            }
            Self::Alone { case } => write!(f, "{case} is a case at twice the size, and there is none at once the size"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts<const N: usize>(counts: [(&str, u64); N]) -> Counts {
        counts.map(|(case, count)| (case.to_owned(), count)).into()
    }

    #[test]
    fn what_is_within_the_margin_is_fine() {
        let figures = counts([("less", 1000), ("more", 1000), ("same", 1000)]);
        assert_eq!(compare(&figures, &counts([("less", 901), ("more", 1099), ("same", 1000)])), []);
    }

    #[test]
    fn more_is_a_fault_and_less_is_not() {
        let found = compare(&counts([("less", 1000), ("more", 1000)]), &counts([("less", 899), ("more", 1101)]));
        let less = Finding::Less { case: "less".into(), figure: 1000, found: 899 };
        let more = Finding::More { case: "more".into(), figure: 1000, found: 1101 };
        assert!(more.is_fault() && !less.is_fault());
        assert_eq!(found, [less, more]);
    }

    #[test]
    fn every_case_has_a_figure_and_every_figure_a_case() {
        let found = compare(&counts([("gone", 1)]), &counts([("new", 2)]));
        let (new, gone) = (Finding::New { case: "new".into(), found: 2 }, Finding::Gone { case: "gone".into() });
        assert!(new.is_fault() && gone.is_fault());
        assert_eq!(found, [new, gone]);
    }

    #[test]
    fn what_is_quadratic_is_seen_without_figures() {
        assert_eq!(growth(&counts([("sort", 1000), ("sort-twice", 2200), ("other", 9)])), []);
        let found = growth(&counts([("pairs", 1000), ("pairs-twice", 4000)]));
        assert_eq!(found, [Finding::Steep { case: "pairs".into(), once: 1000, twice: 4000 }]);
        assert!(found[0].is_fault());
    }

    #[test]
    fn twice_needs_once() {
        assert_eq!(growth(&counts([("plan-twice", 1)])), [Finding::Alone { case: "plan-twice".into() }]);
    }

    #[test]
    fn a_fault_says_what_is_expected_and_what_was_found() {
        let more = Finding::More { case: "open".into(), figure: 1000, found: 1500 };
        assert_eq!(more.to_string(), "open takes 1500 instructions, 1.50 times the 1000 of its figure (at most 1.1)");
    }
}
