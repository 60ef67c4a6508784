//! The conformance suite itself: it catches what is broken, and every clause of it can.

mod broken;

use broken::{Broken, Defect};
use dcp_storage::conformance::{CLAUSES, Clause, Violation};

#[test]
fn every_defect_is_caught_by_the_clauses_made_for_it() {
    let mut missed = Vec::new();
    for &(defect, clauses) in Defect::ALL {
        for &name in clauses {
            let clause = Clause::named(name).unwrap_or_else(|| panic!("{defect:?}: no clause {name}"));
            match check(clause, defect) {
                Err(violation) => assert_eq!(violation.clause, name),
                Ok(()) => missed.push((defect, name)),
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}

#[test]
fn every_clause_catches_something() {
    let named = |clause: &Clause| Defect::ALL.iter().any(|(_, clauses)| clauses.contains(&clause.name));
    let toothless: Vec<_> = CLAUSES.iter().filter(|clause| !named(clause)).map(|clause| clause.name).collect();
    assert!(toothless.is_empty(), "no broken store for these clauses: {toothless:#?}");
}

#[test]
fn names_of_clauses_are_distinct() {
    let mut names: Vec<_> = CLAUSES.iter().map(|clause| clause.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CLAUSES.len());
}

fn check(clause: &Clause, defect: Defect) -> Result<(), Violation> {
    let store = Broken::new(defect);
    clause.check(&move || store.reopen())
}
