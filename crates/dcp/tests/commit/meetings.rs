//! A second saver or a reader comes in between any two operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dcp::{Error, SaveReport, StorageError, Store};
use dcp_storage::conformance::{Fault, FaultStore, Faults};

use super::support::{Opened, Place, Save, content, everything, save, save_alive, storage_error, tells_the_loser};

/// Savers whose claims have expired when they meet, and savers that are known to be alive.
const SAVES: [(Save, bool); 2] = [(save, false), (save_alive, true)];

/// Both overwrite. The second one saves once, or twice: then the files of its first checkpoint come and go meanwhile.
#[test]
fn a_second_saver_comes_in_between() {
    for like in Place::each() {
        let cases = [(None, 1), (None, 2), (Some(1), 1), (Some(1), 2)];
        for ((old, saves), (save, alive)) in cases.into_iter().flat_map(|case| SAVES.map(|save| (case, save))) {
            at_every_operation(save, &like, old, true, |what, place, faults, k| {
                let seen: Arc<Mutex<Vec<Opened>>> = Arc::default();
                let (store, keep) = (place.open(), Arc::clone(&seen));
                let intruder = Fault::before(move || {
                    for number in (20..).take(saves) {
                        save(store.clone(), number, true).expect("the one in between is alone");
                        keep.lock().expect("lock").push(Opened::at(store.clone()).expect("opens"));
                    }
                });
                let outcome = save(faulty(place, faults.clone().at(k, intruder)), 2, true);
                assert_eq!(faults.pending(), 0, "{what}");

                let last = 20 + saves as u32 - 1;
                let found = place.content();
                match storage_error(&outcome) {
                    None => assert!([Some(2), Some(last)].contains(&found), "{what}: {found:?}"),
                    Some(error) => {
                        assert!(tells_the_loser(error, true, alive), "{what}: {error:?}");
                        assert_eq!(found, Some(last), "{what}");
                    }
                }
                // Whoever had opened one of the checkpoints in between reads that one, or is told.
                for (number, opened) in (20..).zip(&*seen.lock().expect("lock")) {
                    match opened.content() {
                        Ok(found) => assert_eq!(found, number, "{what}"),
                        Err(StorageError::Overwritten { .. }) => {}
                        Err(other) => panic!("{what}: {other:?}"),
                    }
                }
                tidied(place, what);
            });
        }
    }
}

/// The second one comes before the commit of the first, and the other way round.
#[test]
fn the_last_to_commit_is_the_one_that_saw_the_other() {
    let place = Place::memory();
    save(place.open(), 1, true).expect("saved");
    let commits = log(save, &place, Some(1), true)
        .iter()
        .position(|operation| *operation == format!("publish {}", crate::kind::INDEX))
        .expect("an index is published");
    for (k, expected) in [(0, 2), (commits, 20), (commits + 1, 20)] {
        let place = Place::memory();
        save(place.open(), 1, true).expect("saved");
        let store = place.open();
        let intruder = Fault::before(move || drop(save(store, 20, true).expect("saved")));
        let outcome = save(faulty(&place, Faults::none().at(k, intruder)), 2, true);
        assert_eq!(outcome.is_err(), k == commits, "{k}: {outcome:?}");
        assert_eq!(place.content(), Some(expected), "{k}");
    }
}

/// Only a claim that is old is put on record once more.
#[test]
fn a_young_claim_is_published_once() {
    for (save, times) in [(save_alive as Save, 1), (save, 2)] {
        let operations = log(save, &Place::memory(), None, false);
        let published = operations.iter().filter(|operation| operation.starts_with("publish .dcp-claim-"));
        assert_eq!(published.count(), times, "{operations:?}");
    }
}

#[test]
fn one_of_two_first_savers_wins() {
    for like in Place::each() {
        for (save, alive) in SAVES {
            at_every_operation(save, &like, None, false, |what, place, faults, k| {
                let (store, theirs) = (place.open(), Arc::new(Mutex::new(None)));
                let told = Arc::clone(&theirs);
                let files: Arc<Mutex<Option<Files>>> = Arc::default();
                let kept = Arc::clone(&files);
                let intruder = Fault::before(move || {
                    let outcome = save(store.clone(), 20, false);
                    if outcome.is_ok() {
                        // The claim is there for clean-up alone; the rest must stay as it is.
                        *kept.lock().expect("lock") = Some(files_of(&*store, &outcome));
                    }
                    *told.lock().expect("lock") = Some(outcome);
                });
                let ours = save(faulty(place, faults.clone().at(k, intruder)), 2, false);
                assert_eq!(faults.pending(), 0, "{what}");
                let theirs = theirs.lock().expect("lock").take().expect("the other one has saved");
                for outcome in [&ours, &theirs] {
                    let error = storage_error(outcome);
                    assert!(error.is_none_or(|error| tells_the_loser(error, false, alive)), "{what}: {error:?}");
                }
                match (ours.is_ok(), theirs.is_ok()) {
                    (true, false) => assert_eq!(place.content(), Some(2), "{what}"),
                    (false, true) => assert_eq!(place.content(), Some(20), "{what}"),
                    both => panic!("{what}: not one of two wins: {both:?}"),
                }
                if let Some(files) = files.lock().expect("lock").take() {
                    let now = everything(&*place.open());
                    for (name, content) in files {
                        assert_eq!(now.get(&name), Some(&content), "{what}: {name} of the winner");
                    }
                }
                tidied(place, what);
            });
        }
    }
}

#[test]
fn a_reader_comes_in_between() {
    for like in Place::each() {
        for old in [None, Some(1)] {
            at_every_operation(save, &like, old, true, |what, place, faults, k| {
                let (store, at) = (place.open(), what.to_owned());
                // Opened before anything happens, and read when the time has come.
                let early = old.map(|_| Opened::at(place.open()).expect("opens"));
                let reader = Fault::before(move || {
                    match content(store) {
                        Ok(found) => assert!(Some(found) == old || found == 2, "{at}: {found}"),
                        Err(StorageError::NoCheckpoint { .. }) => assert_eq!(old, None, "{at}"),
                        Err(other) => panic!("{at}: {other:?}"),
                    }
                    match early.map(|early| early.content()) {
                        None => {}
                        Some(Ok(found)) => assert_eq!(Some(found), old, "{at}"),
                        Some(Err(StorageError::Overwritten { .. })) => {}
                        Some(Err(other)) => panic!("{at}: {other:?}"),
                    }
                });
                save(faulty(place, faults.clone().at(k, reader)), 2, true).expect("readers disturb nobody");
                assert_eq!(faults.pending(), 0, "{what}");
                assert_eq!(place.content(), Some(2), "{what}");
            });
        }
    }
}

/// A saver comes in between any two operations of a reader. The new checkpoint, its index too, is larger or smaller than the
/// old one.
#[test]
fn a_reader_is_overtaken() {
    for like in Place::each() {
        for (old, new) in [(1, 60), (60, 1)] {
            let count = {
                let place = like.another();
                save(place.open(), old, true).expect("saved");
                let faults = Faults::none();
                content(faulty(&place, faults.clone())).expect("loads");
                faults.count()
            };
            let mut told = 0;
            for (k, saves) in (0..count).flat_map(|k| [(k, 1), (k, 2)]) {
                let place = like.another();
                save(place.open(), old, true).expect("saved");
                let store = place.open();
                let saver = Fault::before(move || {
                    for number in (new..).take(saves) {
                        save(store.clone(), number, true).expect("saved");
                    }
                });
                let faults = Faults::none().at(k, saver);
                match content(faulty(&place, faults.clone())) {
                    Ok(found) => assert!(found == old || found == new + saves as u32 - 1, "{k}: {found}"),
                    Err(StorageError::Overwritten { .. }) => told += 1,
                    Err(other) => panic!("{old} to {new} at {k} of {count}: {other:?}"),
                }
                assert_eq!(faults.pending(), 0);
            }
            assert!(told > 0, "nobody was overtaken");
        }
    }
}

/// Does something with a fresh place for every operation that a save has.
fn at_every_operation(
    by: Save,
    like: &Place,
    old: Option<u32>,
    overwrite: bool,
    meet: impl Fn(&str, &Place, Faults, usize),
) {
    let count = log(by, like, old, overwrite).len();
    assert!(count >= 10, "a save has more operations than {count}");
    for k in 0..count {
        let place = like.another();
        if let Some(old) = old {
            save(place.open(), old, true).expect("saved");
        }
        meet(&format!("over {old:?} at {k} of {count}"), &place, Faults::none(), k);
    }
}

fn log(by: Save, like: &Place, old: Option<u32>, overwrite: bool) -> Vec<String> {
    let place = like.another();
    if let Some(old) = old {
        save(place.open(), old, true).expect("saved");
    }
    let faults = Faults::none();
    by(faulty(&place, faults.clone()), 2, overwrite).expect("nothing fails");
    faults.log().iter().map(ToString::to_string).collect()
}

fn faulty(place: &Place, faults: Faults) -> Arc<dyn Store> {
    Arc::new(FaultStore::new(place.open(), faults))
}

/// Objects and what they hold.
type Files = BTreeMap<String, Vec<u8>>;

/// The index and the data files that are there after a save.
fn files_of(store: &dyn Store, outcome: &Result<SaveReport, Error>) -> Files {
    assert!(outcome.is_ok());
    let generation = super::support::generation(store);
    let is_part = |name: &String| match super::support::data_name(name) {
        Some(data) => data.generation == generation,
        None => name == crate::kind::INDEX,
    };
    everything(store).into_iter().filter(|(name, _)| is_part(name)).collect()
}

/// A later save works, and leaves nothing of the earlier ones.
fn tidied(place: &Place, what: &str) {
    save(place.open(), 5, true).unwrap_or_else(|error| panic!("{what}: a later save fails: {error}"));
    assert_eq!(place.content(), Some(5), "{what}");
    place.assert_tidy(what);
}
