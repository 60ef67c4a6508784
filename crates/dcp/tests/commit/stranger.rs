//! A format that only the program knows which saves it: its checkpoints are safe from everybody else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dcp::{Cleaner, ComposedWriter, Converter, Format, LocalStore, Opener, StorageError, Store};
use dcp_storage::conformance::{Fault, FaultStore, Faults, block_on};
use dcp_storage::{Ask, FileLayout, Generation, OpenedCheckpoint, Precondition, StorePath, Strictness, WrittenFile};
use dcp_types::{GlobalPlan, Rank, RankPlan};

use super::support::{DAY, Place, data_name, everything, path, save, save_through, storage_error};
use crate::kind::{INDEX, Kind};

const STRANGE: &str = "index.strange";

/// Our format with an index that nobody else can read.
#[derive(Debug)]
struct Stranger(Kind);

impl Stranger {
    const MAGIC: &[u8] = b"strange";

    fn new() -> Self {
        Self(Kind::new().files_per_rank(2))
    }
}

impl Format for Stranger {
    fn name(&self) -> &'static str {
        "stranger"
    }

    fn index_path(&self) -> StorePath {
        path(STRANGE)
    }

    fn lay_out(&self, plan: &RankPlan, generation: Generation) -> Result<Vec<FileLayout>, StorageError> {
        self.0.lay_out(plan, generation)
    }

    fn summarise(&self, files: &[WrittenFile]) -> Result<Bytes, StorageError> {
        self.0.summarise(files)
    }

    fn encode_index(
        &self,
        plan: &GlobalPlan,
        summaries: &[(Rank, Bytes)],
        generation: Generation,
    ) -> Result<Bytes, StorageError> {
        Ok([Self::MAGIC, &self.0.encode_index(plan, summaries, generation)?].concat().into())
    }

    fn generation(&self, index: &[u8]) -> Result<Generation, StorageError> {
        let not_ours = || StorageError::Unsupported { format: "stranger", what: "another index".into() };
        self.0.generation(index.strip_prefix(Self::MAGIC).ok_or_else(not_ours)?)
    }

    fn open(&self, _: Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>> {
        unreachable!("nothing is read here")
    }
}

/// Saves in the strange format, with a claim that may be taken for abandoned after so long.
fn save_strangely(store: Arc<dyn Store>, claimed: Duration) -> Result<dcp::SaveReport, dcp::Error> {
    let writer = ComposedWriter::new(Arc::new(Stranger::new()), store).overwrite(true).claim_lifetime(claimed);
    save_through(&writer, 1)
}

fn is_there(place: &Place) -> bool {
    everything(&*place.open()).contains_key(STRANGE)
}

/// Whoever does not know the format touches nothing, although nobody else saves.
fn assert_safe(place: &Place, what: &str) {
    let before = everything(&*place.open());
    for certain in [false, true] {
        let cleaned = Cleaner::new().no_save_running(certain).remove(place.open()).expect("listed");
        let [(_, error)] = &cleaned.failed[..] else { panic!("{what}: {cleaned:?}") };
        assert!(error.to_string().contains("index.strange is of no format that is known here"), "{what}: {error}");
        assert!(cleaned.found.is_empty(), "{what}: {cleaned:?}");
    }
    for overwrite in [false, true] {
        let refused = save(place.open(), 2, overwrite);
        let told = storage_error(&refused);
        assert!(matches!(told, Some(StorageError::Exists { found, .. }) if found == STRANGE), "{what}: {refused:?}");
    }
    assert_eq!(everything(&*place.open()), before, "{what}");
}

#[test]
fn its_checkpoint_is_neither_cleaned_away_nor_replaced() {
    for place in Place::each() {
        // The second replaces the first. Its claim is the one that it made; that of the others is put on record once more.
        for claimed in [Duration::ZERO, DAY, Duration::ZERO] {
            save_strangely(place.open(), claimed).expect("saved");
            assert_safe(&place, &format!("claimed for {claimed:?}"));
        }
        let opener = Opener::new().format(Stranger::new());
        let cleaned = Cleaner::new().opener(opener).remove(place.open()).expect("listed");
        assert!(
            cleaned.found.is_empty() && cleaned.failed.is_empty(),
            "who knows it sees that all is well: {cleaned:?}"
        );
    }
}

/// The claim of a conversion is put on record again and again.
#[test]
fn a_conversion_to_it_is_safe_as_well() {
    // From files, of which it can be told whether they have changed, so that it can be taken up.
    let (from, to) = (tempfile::tempdir().expect("temporary directory"), Place::memory());
    save(Arc::new(LocalStore::open(from.path())), 1, false).expect("saved");
    let converter = Converter::new().opener(Opener::new().format(Stranger::new())).to_named("stranger");
    converter.convert(from.path(), to.open()).expect("converted");
    assert_safe(&to, "converted");
}

#[test]
fn what_is_abandoned_of_it_is_removed_by_anybody() {
    for like in Place::each() {
        let faults = Faults::none();
        save_strangely(Arc::new(FaultStore::new(like.another().open(), faults.clone())), Duration::ZERO)
            .expect("saved");
        for k in 0..faults.count() {
            let (place, what) = (like.another(), format!("stopped at {k}"));
            let stopped =
                || -> Arc<dyn Store> { Arc::new(FaultStore::new(place.open(), Faults::none().at(k, Fault::Stop))) };
            drop(save_strangely(stopped(), Duration::ZERO));
            if is_there(&place) {
                assert_safe(&place, &what);
                continue;
            }
            let cleaned = Cleaner::new().remove(place.open()).expect("listed");
            assert!(cleaned.failed.is_empty(), "{what}: {cleaned:?}");
            assert_eq!(place.ours(), [""; 0], "{what}");
            // Once more, and now a save of ours removes it.
            drop(save_strangely(stopped(), Duration::ZERO));
            save(place.open(), 3, false).expect("saved");
            assert_eq!(place.content(), Some(3), "{what}");
            place.assert_tidy(&what);
        }
    }
}

/// The claim that a clean-up puts in place of another one still names the index.
#[test]
fn an_index_that_comes_while_somebody_cleans_up_is_seen() {
    let clean = |store: Arc<dyn Store>| drop(Cleaner::new().no_save_running(true).remove(store).expect("listed"));
    late_commit_is_safe_from(&clean, true);
}

#[test]
fn an_index_that_comes_while_somebody_saves_is_seen() {
    // It is refused if it has seen the index when it began.
    late_commit_is_safe_from(&|store| drop(save(store, 2, false)), false);
}

/// A save that was taken for dead commits at any time until the other one looks what there is for the last time.
fn late_commit_is_safe_from(other: &dyn Fn(Arc<dyn Store>), is_alone: bool) {
    let faults = Faults::none();
    other(Arc::new(FaultStore::new(taken_for_dead().open(), faults.clone())));
    let last_look = faults.log().iter().rposition(|done| done.name == "list" && done.path.is_none());
    for k in 0..=last_look.expect("it looks") {
        let place = taken_for_dead();
        let (beside, before) = (place.open(), everything(&*place.open()));
        let coming = Fault::before(move || {
            drop(block_on(beside.publish(&path(STRANGE), b"strange", Precondition::Absent)).expect("published"));
        });
        other(Arc::new(FaultStore::new(place.open(), Faults::none().at(k, coming))));
        let after = everything(&*place.open());
        let is_whole = |(name, content): (&String, _)| data_name(name).is_none() || after.get(name) == Some(content);
        assert!(before.iter().all(is_whole), "at {k}: {:?}", after.keys());
        if is_alone {
            assert_safe(&place, &format!("at {k}"));
        }
    }
}

/// What a save in the strange format has written that has yet to commit.
fn taken_for_dead() -> Place {
    let (place, faults) = (Place::memory(), Faults::none());
    save_strangely(Arc::new(FaultStore::new(place.another().open(), faults.clone())), Duration::ZERO).expect("saved");
    let is_commit = |path: &StorePath| path.as_str() == STRANGE;
    let commit =
        faults.log().iter().position(|done| done.path.as_ref().is_some_and(is_commit) && done.name == "publish");
    let stop = Faults::none().at(commit.expect("it commits"), Fault::Stop);
    save_strangely(Arc::new(FaultStore::new(place.open(), stop)), Duration::ZERO).expect_err("stopped");
    place
}

/// A name in a claim comes from outside. Whatever it is, nothing is removed that would not be without it.
#[test]
fn what_a_claim_says_only_keeps_things() {
    let claim = |index: &str| {
        let saver = [&[0x83, 0xa5][..], b"saver", &[0xa1], b"x", &[0xa7], b"expires", &[0x00, 0xa5], b"index"];
        [saver.concat(), vec![0xa0 | index.len() as u8], index.as_bytes().to_vec()].concat()
    };
    // Not there, what is no index, and what is its own; then what is there, and what is no name at all.
    let names = ["gone", "__0_0.distcp", ".dcp-claim-0", INDEX, "notes.txt", "../notes.txt", ""];
    for (at, name) in names.into_iter().enumerate() {
        let place = Place::memory();
        let publish = |name: &str, content: &[u8]| {
            block_on(place.open().publish(&path(name), content, Precondition::Absent)).expect("published");
        };
        publish("__0_0.distcp", b"data");
        publish(".dcp-claim-0", &claim(name));
        drop(Cleaner::new().remove(place.open()).expect("listed"));
        let all = [".dcp-claim-0", "__0_0.distcp"];
        let expected: &[&str] = if at < 4 { &[] } else { &all };
        assert_eq!(place.ours(), expected, "{name}");
    }
}
