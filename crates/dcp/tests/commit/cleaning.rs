//! What saves have left that came to no end is removed without another save.

use std::sync::Arc;

use dcp::{Cleaner, Cleaning, Kept, LeftoverKind, StorageError, Store};
use dcp_storage::conformance::{Fault, FaultStore, Faults, Operation, block_on};
use dcp_storage::{DataName, Precondition};

use super::support::{Place, Save, generation, path, save, save_alive, storage_error, tells_the_loser};
use super::zombies::Zombie;

fn clean(place: &Place) -> Cleaning {
    let cleaned = Cleaner::new().remove(place.open()).expect("looked into");
    assert!(cleaned.failed.is_empty(), "{cleaned:?}");
    cleaned
}

/// There is this checkpoint and nothing else.
fn assert_clean(place: &Place, content: Option<u32>, what: &str) {
    assert_eq!(place.content(), content, "{what}");
    match content {
        Some(_) => place.assert_tidy(what),
        None => assert_eq!(place.ours(), [""; 0], "{what}"),
    }
}

fn prepared(like: &Place, old: Option<u32>) -> Place {
    let place = like.another();
    if let Some(old) = old {
        save(place.open(), old, true).expect("saved");
    }
    place
}

fn operations(like: &Place, old: Option<u32>, save: Save) -> Vec<Operation> {
    let (place, faults) = (prepared(like, old), Faults::none());
    save(Arc::new(FaultStore::new(place.open(), faults.clone())), 2, true).expect("nothing fails");
    faults.log()
}

#[test]
fn nothing_stays_of_a_save_that_stopped_anywhere() {
    for like in Place::each() {
        for old in [None, Some(1)] {
            for k in 0..operations(&like, old, save).len() {
                let (place, what) = (prepared(&like, old), format!("{old:?}, stopped at {k}"));
                let outcome = save(Arc::new(FaultStore::new(place.open(), Faults::none().at(k, Fault::Stop))), 2, true);
                let found = place.content();
                let told = Cleaner::new().find(place.open()).expect("looked into").found;
                let before = place.ours();
                let removed = clean(&place).found;
                assert!(outcome.is_err() || removed.is_empty() || found == Some(2), "{what}: {removed:?}");
                let names = |found: &[dcp::Leftover]| -> Vec<String> {
                    found.iter().map(|left| left.path.to_string()).collect()
                };
                assert_eq!(names(&told), names(&removed), "{what}: finding tells what removing removes");
                assert!(names(&told).iter().all(|name| before.contains(name)), "{what}: {told:?} of {before:?}");
                assert!(removed.iter().all(|left| left.kept.is_none()), "{what}: {removed:?}");
                assert_clean(&place, found, &what);
                save(place.open(), 3, true).expect("saved");
                assert_clean(&place, Some(3), &what);
            }
        }
    }
}

#[test]
fn a_live_save_is_left_alone() {
    for like in Place::each() {
        for old in [None, Some(1)] {
            for k in 0..operations(&like, old, save_alive).len() {
                let (place, what) = (prepared(&like, old), format!("{old:?}, cleaned at {k}"));
                let beside = place.open();
                let cleaning = Fault::before(move || drop(Cleaner::new().remove(beside).expect("looked into")));
                let store = FaultStore::new(place.open(), Faults::none().at(k, cleaning));
                save_alive(Arc::new(store), 2, true).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_clean(&place, Some(2), &what);
            }
        }
    }
}

/// A save that is slower than its claim is long fails, and what is there stays whole.
#[test]
fn a_save_that_is_taken_for_dead_does_not_commit() {
    for like in Place::each() {
        for old in [None, Some(1)] {
            let log = operations(&like, old, save);
            let claim = |operation: &&Operation| {
                operation.path.as_ref().is_some_and(|path| path.as_str().starts_with(".dcp-claim-"))
            };
            let claims: Vec<usize> = (0..log.len()).filter(|&k| log[k].name == "publish" && claim(&&log[k])).collect();
            assert_eq!(claims.len(), 2, "it claims, and puts the claim on record once more: {log:?}");
            for (k, operation) in log.iter().enumerate().take(claims[1] + 1) {
                let (place, what) = (prepared(&like, old), format!("{old:?}, cleaned at {k}: {operation}"));
                let beside = place.open();
                let cleaning = Fault::before(move || drop(Cleaner::new().remove(beside).expect("looked into")));
                let outcome = save(Arc::new(FaultStore::new(place.open(), Faults::none().at(k, cleaning))), 2, true);
                match storage_error(&outcome) {
                    None => assert!(k <= claims[0] && place.content() == Some(2), "{what}"),
                    Some(error) => {
                        assert!(tells_the_loser(error, true, false), "{what}: {error:?}");
                        assert_eq!(place.content(), old, "{what}");
                    }
                }
                save(place.open(), 3, true).expect("saved");
                save(place.open(), 4, true).expect("saved");
                match old {
                    Some(_) => assert_clean(&place, Some(4), &what),
                    // Of generation 0 files without a claim are not known to be ours: they stay, and harm nobody.
                    None => assert_eq!(place.content(), Some(4), "{what}"),
                }
            }
        }
    }
}

#[test]
fn what_wakes_up_afterwards_does_not_commit() {
    for like in Place::each() {
        for asleep in 0..3 {
            let place = prepared(&like, Some(1));
            let mut zombie = Zombie::rise(&place);
            for step in 0..3 {
                if step == asleep {
                    assert!(!clean(&place).found.is_empty());
                }
                match step {
                    0 | 1 => zombie.write(step),
                    _ => {
                        let told = zombie.finish();
                        assert!(matches!(told, Err(StorageError::PreconditionFailed { .. })), "{asleep}: {told:?}");
                    }
                }
            }
            zombie.abort(true);
            clean(&place);
            assert_clean(&place, Some(1), &format!("asleep at {asleep}"));
        }
    }
}

/// Whoever cleans up may die as well. The claim that it took is its own for a day, unless somebody knows better.
#[test]
fn a_clean_up_that_stopped_anywhere_is_taken_up() {
    let crashed = |like: &Place| {
        let place = prepared(like, Some(1));
        let mut zombie = Zombie::rise(&place);
        zombie.write(0);
        zombie.write(1);
        place
    };
    for like in Place::each() {
        let faults = Faults::none();
        let counted: Arc<dyn Store> = Arc::new(FaultStore::new(crashed(&like).open(), faults.clone()));
        Cleaner::new().remove(counted).expect("looked into");
        for k in 0..faults.count() {
            for fault in [Fault::Stop, Fault::LoseResponse, Fault::Io(std::io::ErrorKind::TimedOut)] {
                let (place, what) = (crashed(&like), format!("at {k}: {fault:?}"));
                let faulty: Arc<dyn Store> = Arc::new(FaultStore::new(place.open(), Faults::none().at(k, fault)));
                drop(Cleaner::new().remove(faulty));
                assert_eq!(place.content(), Some(1), "{what}");
                let certain = Cleaner::new().no_save_running(true).remove(place.open()).expect("looked into");
                assert!(certain.found.iter().all(|left| left.kept.is_none()), "{what}: {certain:?}");
                assert_clean(&place, Some(1), &what);
            }
        }
    }
}

#[test]
fn what_may_be_alive_is_told_and_stays() {
    let place = prepared(&Place::memory(), Some(1));
    let at = operations(&place, Some(1), save_alive).len() / 2;
    save_alive(Arc::new(FaultStore::new(place.open(), Faults::none().at(at, Fault::Stop))), 2, true)
        .expect_err("stopped");
    let before = place.ours();
    let told = clean(&place).found;
    assert!(!told.is_empty() && told.iter().all(|left| matches!(left.kept, Some(Kept::Until(_)))), "{told:?}");
    assert_eq!(place.ours(), before);
    Cleaner::new().no_save_running(true).remove(place.open()).expect("looked into");
    assert_clean(&place, Some(1), "by who knows");
}

/// Uploads that a process has left are a part of what its save has.
#[test]
fn uploads_go_with_their_generation() {
    for place in Place::each() {
        save(place.open(), 1, true).expect("saved");
        let zombie = Zombie::rise(&place);
        let data = DataName { rank: 0, number: 0, generation: generation(&*place.open()) + 1 };
        let path = data.path().expect("a path");
        let mut upload = block_on(place.open().create(&path, None)).expect("begun");
        block_on(upload.write(b"half")).expect("written");
        // As if the process had been killed.
        std::mem::forget(upload);
        let kinds: Vec<_> = clean(&place).found.iter().map(|left| left.kind).collect();
        assert_eq!(kinds, [LeftoverKind::Upload, LeftoverKind::Claim]);
        assert_clean(&place, Some(1), "uploads");
        drop(zombie);
    }
}

/// Nothing is removed where it cannot be told what an index refers to.
#[test]
fn an_unknown_index_keeps_everything() {
    for index in [crate::kind::INDEX, "model.safetensors.index.json"] {
        let place = prepared(&Place::memory(), None);
        Zombie::rise(&place).write(0);
        block_on(place.open().publish(&path(index), b"whatever", Precondition::Absent)).expect("published");
        let before = place.ours();
        let cleaned = Cleaner::new().no_save_running(true).remove(place.open()).expect("listed");
        assert_eq!((cleaned.found.len(), cleaned.failed.len()), (0, 1), "{cleaned:?}");
        assert_eq!(place.ours(), before);
    }
}
