//! The conformance suite for transforms: what is right passes, what is broken is caught, and every clause catches something.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dcp_storage::conformance::transform::{CLAUSES, Clause};
use dcp_storage::{Coder, StreamTransform};
use dcp_types::DataError;

mod zstd {
    dcp_storage::transform_conformance!(|| dcp_storage::Zstd::level(1));
}

mod nothing {
    dcp_storage::transform_conformance!(|| super::Broken::new(super::Defect::None));
}

/// What is wrong with a transform, and the clause that finds it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    NameOfItsOwn,
    SlashInName,
    ReadsOthersOnly,
    ForgetsTheLastByte,
    DependsOnPieces,
    OneStateForAll,
    AllAtOnce,
    TakesNothing,
    NeverEnds,
    TakesTooMuch,
}

const ALL: &[(Defect, &str)] = &[
    (Defect::NameOfItsOwn, "its_descriptor_stays"),
    (Defect::SlashInName, "its_descriptor_stays"),
    (Defect::ReadsOthersOnly, "its_descriptor_stays"),
    (Defect::ForgetsTheLastByte, "what_is_encoded_is_decoded"),
    (Defect::DependsOnPieces, "what_is_encoded_is_decoded"),
    (Defect::OneStateForAll, "streams_do_not_mix"),
    (Defect::AllAtOnce, "little_comes_at_a_time"),
    (Defect::TakesNothing, "what_nobody_has_encoded_ends"),
    (Defect::NeverEnds, "what_nobody_has_encoded_ends"),
    (Defect::TakesTooMuch, "what_nobody_has_encoded_ends"),
];

#[test]
fn every_defect_is_caught_by_its_clause() {
    for (defect, name) in ALL {
        let clause = Clause::named(name).expect("a clause");
        let shared = Broken::new(*defect);
        let caught = clause.check(&|| Box::new(shared.again()));
        assert!(caught.is_err(), "{name} does not catch {defect:?}");
    }
}

#[test]
fn every_clause_catches_something() {
    let toothless: Vec<_> = CLAUSES.iter().filter(|clause| ALL.iter().all(|(_, name)| *name != clause.name)).collect();
    assert!(toothless.is_empty(), "{toothless:?}");
}

/// Does nothing to bytes, or something wrong.
#[derive(Debug)]
struct Broken {
    defect: Defect,
    name: String,
    made: Arc<AtomicUsize>,
    shared: Arc<Mutex<Vec<u8>>>,
}

impl Broken {
    fn new(defect: Defect) -> Self {
        let name = if defect == Defect::SlashInName { "stream/nothing" } else { "stream.nothing" };
        Self { defect, name: name.to_owned(), made: Arc::default(), shared: Arc::default() }
    }

    fn again(&self) -> Self {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = if self.defect == Defect::NameOfItsOwn { format!("stream.{number}") } else { self.name.clone() };
        Self { name, defect: self.defect, made: Arc::clone(&self.made), shared: Arc::clone(&self.shared) }
    }
}

impl StreamTransform for Broken {
    fn name(&self) -> &str {
        &self.name
    }
    fn version(&self) -> &'static str {
        "1"
    }
    fn reads(&self, version: &str) -> bool {
        self.defect != Defect::ReadsOthersOnly && version == "1"
    }
    fn encoder(&self) -> Result<Box<dyn Coder>, DataError> {
        let held = if self.defect == Defect::OneStateForAll { Arc::clone(&self.shared) } else { Arc::default() };
        let decoded = false;
        Ok(Box::new(Copying { defect: self.defect, held, decoded }))
    }
    fn decoder(&self, _: &str) -> Result<Box<dyn Coder>, DataError> {
        Ok(Box::new(Copying { defect: self.defect, held: Arc::default(), decoded: true }))
    }
}

/// Holds back what has come last.
struct Copying {
    defect: Defect,
    held: Arc<Mutex<Vec<u8>>>,
    decoded: bool,
}

impl Coder for Copying {
    fn code(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DataError> {
        let mut held = self.held.lock().map_err(|_| "poisoned")?;
        let taken = if self.defect == Defect::AllAtOnce { input.len() } else { input.len().min(1000) };
        match (self.defect, self.decoded) {
            (Defect::TakesNothing, true) => return Ok(0),
            (Defect::TakesTooMuch, true) => return Ok(input.len() + 1),
            (Defect::DependsOnPieces, true) => {
                // As if a piece were never cut.
                output.push(input[0]);
                return Ok(taken);
            }
            _ => {}
        }
        output.append(&mut held);
        held.extend_from_slice(&input[..taken]);
        Ok(taken)
    }

    fn finish(&mut self, output: &mut Vec<u8>) -> Result<bool, DataError> {
        let mut held = self.held.lock().map_err(|_| "poisoned")?;
        if self.defect == Defect::ForgetsTheLastByte {
            held.pop();
        }
        output.append(&mut held);
        Ok(!(self.defect == Defect::NeverEnds && self.decoded))
    }
}
