//! Two processes that do the same conversion at the same time.

use std::sync::mpsc;
use std::thread;

use dcp::{ConvertReport, Error, MemoryStore, StorageError};
use dcp_storage::conformance::{Fault, Faults};

use crate::resume::{added, converter_of, destination, faulty, source};

fn convert(from: &MemoryStore, to: &MemoryStore, faults: &Faults) -> Result<ConvertReport, Error> {
    converter_of(2).convert(from.clone(), faulty(to, faults))
}

/// Of all pairs of operations, these are taken: each operation meets every third of the other process.
const EVERY: usize = 3;

/// Whether an error is one that tells of the other process.
fn is_clear(error: &Error) -> bool {
    let Error::Storage(error) = error else { return false };
    matches!(
        **error,
        StorageError::TakenOver { .. } | StorageError::PreconditionFailed { .. } | StorageError::AlreadyExists { .. }
    )
}

fn operations(old: bool) -> usize {
    let log = Faults::none();
    convert(&source(1.0), &destination(old), &log).expect("converts");
    log.count()
}

#[test]
fn one_comes_in_between_and_ends() {
    for old in [false, true] {
        for k in 0..operations(old) {
            let (from, to) = (source(1.0), destination(old));
            let (said, other) = mpsc::channel();
            let (inner_from, inner_to) = (from.clone(), to.clone());
            let hook = move || said.send(convert(&inner_from, &inner_to, &Faults::none())).expect("heard");
            let first = convert(&from, &to, &Faults::none().at(k, Fault::before(hook)));
            let second = other.recv().expect("said");
            assert!(second.is_ok(), "at {k}: {second:?}");
            if let Err(error) = first {
                assert!(is_clear(&error), "at {k}: {error:?}");
            }
            assert_eq!(added(&to), Some(1.0), "at {k}");
        }
    }
}

#[test]
fn one_comes_in_between_and_dies() {
    let operations = operations(true);
    for first in 0..operations {
        for second in (first % EVERY..operations).step_by(EVERY) {
            let (from, to) = (source(1.0), destination(true));
            let (inner_from, inner_to) = (from.clone(), to.clone());
            let hook = move || drop(convert(&inner_from, &inner_to, &Faults::none().at(second, Fault::Stop)));
            if let Err(error) = convert(&from, &to, &Faults::none().at(first, Fault::before(hook))) {
                assert!(is_clear(&error), "at {first}, dead at {second}: {error:?}");
            } else {
                assert_eq!(added(&to), Some(1.0), "at {first}, dead at {second}");
            }
            convert(&from, &to, &Faults::none()).expect("goes on");
            assert_eq!(added(&to), Some(1.0), "at {first}, dead at {second}");
        }
    }
}

/// The second one comes in at one operation of the first, and rests at one of its own until the first has ended.
fn interleaved(from: &MemoryStore, to: &MemoryStore, at: usize, rests: usize) -> [Result<(), Error>; 2] {
    let (start, started) = mpsc::channel::<()>();
    let (rest, rested) = mpsc::channel::<()>();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let ended = rest.clone();
    let resting = Fault::before(move || {
        rest.send(()).expect("waited for");
        // An error is a go as well.
        let _ = may_go_on.recv();
    });
    let wake = Fault::before(move || {
        start.send(()).expect("waited for");
        rested.recv().expect("rests or ends");
    });
    thread::scope(|scope| {
        let second = scope.spawn(move || {
            started.recv().expect("starts");
            let outcome = convert(from, to, &Faults::none().at(rests, resting)).map(drop);
            // Nobody waits for it any more where it has rested.
            let _ = ended.send(());
            outcome
        });
        let first = convert(from, to, &Faults::none().at(at, wake)).map(drop);
        drop(go_on);
        [first, second.join().expect("no panic")]
    })
}

#[test]
fn one_comes_in_between_and_rests_until_the_other_has_ended() {
    let operations = operations(true);
    for at in 0..operations {
        for rests in (at % EVERY..operations).step_by(EVERY) {
            let (from, to) = (source(1.0), destination(true));
            let outcomes = interleaved(&from, &to, at, rests);
            let case = format!("at {at}, rests at {rests}");
            for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
                assert!(is_clear(error), "{case}: {error:?}");
            }
            if outcomes.iter().any(Result::is_ok) {
                assert_eq!(added(&to), Some(1.0), "{case}");
            } else {
                convert(&from, &to, &Faults::none()).expect("converts");
                assert_eq!(added(&to), Some(1.0), "{case}");
            }
        }
    }
}
