//! A save whose operations fail, or that stops, at every operation in turn.

use std::io;
use std::sync::Arc;

use dcp::{Error, SaveReport, StorageError};
use dcp_storage::Precondition;
use dcp_storage::conformance::{Fault, FaultStore, Faults, Operation, block_on};

use super::support::{Place, content, everything, fetch, path, save, storage_error};

const OLD: u32 = 1;
const NEW: u32 = 2;
const LATER: u32 = 3;

#[test]
fn one_operation_fails() {
    // Some that a store may report for lost connections, and one that it never does.
    for kind in [io::ErrorKind::TimedOut, io::ErrorKind::StorageFull] {
        at_every_operation(|faults, k| faults.at(k, Fault::Io(kind)));
    }
}

#[test]
fn the_process_stops() {
    at_every_operation(|faults, k| faults.at(k, Fault::Stop));
}

#[test]
fn a_response_is_lost() {
    at_every_operation(|faults, k| faults.at(k, Fault::LoseResponse));
}

/// What looks after a fault, fails too: so that nobody relies on the clean-up or on reading back.
#[test]
fn two_operations_fail() {
    let (kind, place) = (io::ErrorKind::TimedOut, Place::memory());
    for old in [None, Some(OLD)] {
        let count = count(&place, old);
        // An operation that fails may lead to some more.
        for (first, second) in
            (0..count + 8).flat_map(|second| (second.saturating_sub(5)..second).map(move |first| (first, second)))
        {
            for lost in [false, true] {
                let fault = if lost { Fault::LoseResponse } else { Fault::Io(kind) };
                let faults = Faults::none().at(first, fault).at(second, Fault::Io(kind));
                check(&place, old, faults, &format!("{old:?}, {first} (lost: {lost}) and {second}"));
            }
        }
    }
}

/// After a lost response the process stops: nothing can be read back.
#[test]
fn a_response_is_lost_and_the_process_stops() {
    at_every_operation(|faults, k| faults.at(k, Fault::LoseResponse).at(k + 1, Fault::Stop));
}

/// One more failure than the publication of the index is tried again: the store is asked in vain.
#[test]
fn publication_never_succeeds() {
    for (kind, is_known) in [(io::ErrorKind::StorageFull, true), (io::ErrorKind::TimedOut, false)] {
        let place = Place::memory();
        save(place.open(), OLD, true).expect("saved");
        let first = commit_operation(&place, Some(OLD));
        // Each attempt is followed by reading back: head, read, head.
        let faults = (0..4).fold(Faults::none(), |faults, attempt| faults.at(first + 4 * attempt, Fault::Io(kind)));
        let store = FaultStore::new(place.open(), faults.clone());
        let outcome = save(Arc::new(store), NEW, true);
        assert_eq!(faults.pending(), 0);
        let error = storage_error(&outcome).expect("it failed");
        assert_eq!(place.content(), Some(OLD));
        if is_known {
            assert!(matches!(error, StorageError::Io { source, .. } if source.kind() == kind), "{error:?}");
            place.assert_tidy("nothing of the failed save is left");
        } else {
            // The request may still be on its way: what it refers to must stay.
            assert!(matches!(error, StorageError::CommitUnknown { .. }), "{error:?}");
            assert!(place.ours().iter().any(|name| name == "__0_0.g1.distcp"), "{:?}", place.ours());
        }
    }
}

/// An index that is there, but of which the store does not say that it is there for good, is not taken for a commit.
#[test]
fn what_is_seen_is_not_yet_durable() {
    let place = Place::memory();
    save(place.open(), OLD, true).expect("saved");
    let first = commit_operation(&place, Some(OLD));
    let faults = (0..4).fold(Faults::none(), |faults, attempt| faults.at(first + 4 * attempt, Fault::LoseResponse));
    let outcome = save(Arc::new(FaultStore::new(place.open(), faults.clone())), NEW, true);
    assert!(matches!(storage_error(&outcome), Some(StorageError::CommitUnknown { .. })), "{outcome:?}");
    assert_eq!(place.content(), Some(NEW));
    assert!(place.ours().iter().any(|name| name == "__0_0.distcp"), "the old files stay: {:?}", place.ours());
    assert_eq!(faults.pending(), 0);
}

/// A load whose operations fail is an error or gives all of it.
#[test]
fn a_load_meets_faults() {
    for place in Place::each() {
        save(place.open(), OLD, true).expect("saved");
        let counting = FaultStore::new(place.open(), Faults::none());
        let faults = counting.faults().clone();
        content(Arc::new(counting)).expect("loads");
        for k in 0..faults.count() {
            let store = FaultStore::new(place.open(), Faults::none().at(k, Fault::Io(io::ErrorKind::TimedOut)));
            match content(Arc::new(store)) {
                Ok(found) => assert_eq!(found, OLD),
                Err(StorageError::Io { source, .. }) => assert_eq!(source.kind(), io::ErrorKind::TimedOut),
                Err(other) => panic!("at {k}: {other}"),
            }
        }
    }
}

/// A clean-up that cannot remove one file goes on with the others, and comes back to that one.
#[test]
fn what_cannot_be_removed_does_not_keep_the_rest() {
    let place = Place::memory();
    for number in [1, 2] {
        // Two crashed saves: all is there but the index.
        let at = commit_operation(&place, None);
        let store = FaultStore::new(place.open(), Faults::none().at(at, Fault::Stop));
        save(Arc::new(store), number, true).expect_err("stopped");
    }
    // A dry run elsewhere says where the first file is removed.
    let copy = Place::memory();
    for (name, content) in everything(&*place.open()) {
        let none = Precondition::None;
        let publish = copy.open();
        block_on(publish.publish(&path(&name), &content, none)).expect("copied");
    }
    let faults = Faults::none();
    save(Arc::new(FaultStore::new(copy.open(), faults.clone())), NEW, true).expect("saved");
    copy.assert_tidy("all is removed");
    let first = faults.log().iter().position(|operation| operation.name == "delete").expect("a file is removed");

    let store = FaultStore::new(place.open(), Faults::none().at(first, Fault::Io(io::ErrorKind::PermissionDenied)));
    save(Arc::new(store), NEW, true).expect("saved, whatever becomes of the clean-up");
    let left = place.ours();
    assert!(left.contains(&".dcp-claim-0".to_owned()) && !left.contains(&".dcp-claim-1".to_owned()), "{left:?}");
    save(place.open(), LATER, true).expect("saved");
    place.assert_tidy("the rest is removed next time");
}

/// A number that cannot be counted further is an error, not an endless search.
#[test]
fn generations_end() {
    for name in [".dcp-claim-18446744073709551615", "__0_0.g18446744073709551615.distcp"] {
        let place = Place::memory();
        let none = Precondition::None;
        block_on(place.open().publish(&path(name), b"", none)).expect("published");
        let outcome = save(place.open(), NEW, true);
        assert!(matches!(storage_error(&outcome), Some(StorageError::Unsupported { .. })), "{name}: {outcome:?}");
    }
}

/// What PyTorch leaves has the names of generation 0: without a claim it is not ours.
#[test]
fn unclaimed_files_of_generation_zero_stay() {
    for place in Place::each() {
        let none = Precondition::None;
        let foreign = path("__0_0.distcp");
        block_on(place.open().publish(&foreign, b"torch", none)).expect("put");
        save(place.open(), OLD, true).expect("saved");
        save(place.open(), NEW, true).expect("saved");
        assert_eq!(place.content(), Some(NEW));
        assert_eq!(fetch(&*place.open(), "__0_0.distcp"), b"torch");
    }
}

/// The files of the checkpoint that is replaced go even when its claim has not come along, as after `cp *`.
#[test]
fn replaced_files_go_without_their_claim() {
    let place = Place::memory();
    save(place.open(), OLD, true).expect("saved");
    block_on(place.open().delete(&path(".dcp-claim-0"))).expect("removed");
    save(place.open(), NEW, true).expect("saved");
    place.assert_tidy("the replaced files are gone");
}

/// Lets one fault happen at every operation of a first save and of an overwriting one, in memory and on disk.
fn at_every_operation(fault: impl Fn(Faults, usize) -> Faults) {
    for place in Place::each() {
        for old in [None, Some(OLD)] {
            let count = count(&place, old);
            assert!(count >= 10, "a save has more operations than {count}");
            for k in 0..count {
                check(&place, old, fault(Faults::none(), k), &format!("{old:?}, operation {k} of {count}"));
            }
        }
    }
}

/// Saves under faults, then makes sure that what is there is whole, and that a later save tidies up.
fn check(like: &Place, old: Option<u32>, faults: Faults, what: &str) {
    let place = prepared(like, old);
    let outcome = save(Arc::new(FaultStore::new(place.open(), faults)), NEW, true);
    let found = place.content();
    assert_honest(&outcome, old, found, what);

    save(place.open(), LATER, true).unwrap_or_else(|error| panic!("{what}: a later save fails: {error}"));
    assert_eq!(place.content(), Some(LATER), "{what}");
    place.assert_tidy(what);
}

/// What a save says is true.
fn assert_honest(outcome: &Result<SaveReport, Error>, old: Option<u32>, found: Option<u32>, what: &str) {
    match storage_error(outcome) {
        None => assert_eq!(found, Some(NEW), "{what}: it says that the new checkpoint is there"),
        Some(StorageError::CommitUnknown { .. }) => {
            assert!(found == old || found == Some(NEW), "{what}: found {found:?}");
        }
        Some(StorageError::Io { .. }) => assert_eq!(found, old, "{what}: it says that nothing has changed"),
        Some(other) => panic!("{what}: {other:?}"),
    }
}

fn prepared(like: &Place, old: Option<u32>) -> Place {
    let place = like.another();
    if let Some(old) = old {
        save(place.open(), old, false).expect("saved");
    }
    place
}

/// How many operations a save has.
fn count(like: &Place, old: Option<u32>) -> usize {
    counted(like, old).count()
}

/// Which operation publishes the index.
fn commit_operation(like: &Place, old: Option<u32>) -> usize {
    let log = counted(like, old).log();
    let commit = |operation: &Operation| {
        operation.name == "publish" && operation.path.as_ref().is_some_and(|path| path.as_str() == crate::kind::INDEX)
    };
    log.iter().position(commit).expect("an index is published")
}

fn counted(like: &Place, old: Option<u32>) -> Faults {
    let place = prepared(like, old);
    let faults = Faults::none();
    save(Arc::new(FaultStore::new(place.open(), faults.clone())), NEW, true).expect("nothing fails");
    faults
}
