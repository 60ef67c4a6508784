//! What a crash of the machine leaves, and what a failing disk does.
//!
//! The store runs on the real disk while the changes it makes are recorded. Then the record is cut at every place, and
//! for each cut all the disks are made up that could be found after a crash there: what was flushed is on them; of
//! what was not, any part may be. On every one of them an object must be whole or absent, and there if the store had
//! said so.

mod model;
mod recorder;

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use dcp_storage::conformance::block_on;
use dcp_storage::{Precondition, SharedUploads, StorageError, Store, StorePath};
use tempfile::TempDir;

use self::model::{Change, disks_after_crash};
use self::recorder::Recorder;
use crate::disk::{self, Disk, RealDisk};
use crate::{Durability, LocalStore};

#[test]
fn nothing_is_torn_or_lost_by_a_crash() {
    for scenario in SCENARIOS {
        let trace = record(scenario, Durability::Fsync);
        assert_eq!(violation(&trace.changes, &trace), None, "{scenario:?}");
    }
}

/// Each flush is needed: without any single one of them some disk shows a torn or a lost object. This is
/// also what shows that the made-up disks are hostile enough.
#[test]
fn no_flush_is_idle() {
    for scenario in SCENARIOS {
        let trace = record(scenario, Durability::Fsync);
        let flushes = (0..trace.changes.len()).filter(|&index| trace.changes[index].is_flush());
        let mut needed = 0;
        for index in flushes {
            let mut without = trace.changes.clone();
            without[index] = Change::Nothing;
            assert!(violation(&without, &trace).is_some(), "{scenario:?}: idle {:?}", trace.changes[index]);
            needed += 1;
        }
        assert!(needed >= 2, "{scenario:?}");
    }
}

#[test]
fn without_flushing_a_crash_may_take_all() {
    for scenario in SCENARIOS {
        let trace = record(scenario, Durability::None);
        assert!(!trace.changes.iter().any(Change::is_flush), "{scenario:?}: {:?}", trace.changes);
        assert!(violation(&trace.changes, &trace).is_some(), "{scenario:?}");
    }
}

#[test]
fn order_of_an_upload() {
    let trace = record(Scenario::Upload, Durability::Fsync);
    let order: Vec<_> = trace.changes.iter().map(Change::name).collect();
    assert_eq!(
        order,
        [
            "make dir",  // the root
            "sync dir",  // what is above it
            "make dir",  // a
            "sync dir",  // the root
            "make dir",  // a/b
            "sync dir",  // a
            "make file", // aside
            "write",
            "write",
            "sync file",
            "rename",
            "sync dir", // a/b
        ]
    );
}

/// Directories that somebody else made, and may not have flushed yet, are flushed as well: once.
#[test]
fn directories_found_are_flushed_once() {
    let place = TempDir::new().expect("a temporary directory");
    fs::create_dir_all(place.path().join("root/a/b")).expect("made");
    let recorder = Arc::new(Recorder::default());
    let store = LocalStore::on(&place.path().join("root"), recorder.clone());
    for (name, flushes) in [("a/b/one", 4), ("a/b/two", 1), ("a/three", 1)] {
        let before = recorder.changes().len();
        block_on(store.publish(&path(name), b"content", Precondition::Absent)).expect("published");
        let count = recorder.changes()[before..].iter().filter(|change| change.name() == "sync dir").count();
        assert_eq!(count, flushes, "{name}");
    }
}

/// Every change that fails (here: because the disk is full) ends the operation with that error. Nothing is left
/// behind, and what is there is whole.
#[test]
fn full_disk_leaves_nothing_behind() {
    for scenario in SCENARIOS {
        let count = record(scenario, Durability::Fsync).changes.len();
        for k in 0..count {
            let place = TempDir::new().expect("a temporary directory");
            let failing = Arc::new(Recorder::failing_at(k, io::ErrorKind::StorageFull));
            let store = LocalStore::on(&place.path().join("root"), failing);
            let Some((_, result)) = run(scenario, &store).into_iter().find(|(_, result)| result.is_err()) else {
                // Some flushes are for others' sake, and their failure is not ours.
                panic!("{scenario:?}: nothing failed at {k}");
            };
            assert!(
                matches!(&result, Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull),
                "{scenario:?} at {k}: {result:?}"
            );
            let left = files(place.path());
            assert!(left.iter().all(|name| name == "object"), "{scenario:?} at {k}: {left:?}");
            if let Ok(content) = fs::read(place.path().join("root").join(OBJECT)) {
                assert!(scenario.states().contains(&Some(content)), "{scenario:?} at {k}");
            }
        }
    }
}

#[test]
fn large_files_are_flushed_on_the_way() {
    let place = TempDir::new().expect("a temporary directory");
    let recorder = Arc::new(Recorder::default());
    let mut store = LocalStore::on(place.path(), recorder.clone());
    store.root.flush_every = 10;
    let mut upload = block_on(store.create(&path("object"), None)).expect("created");
    for _ in 0..5 {
        block_on(upload.write(b"fives")).expect("written");
    }
    block_on(upload.finish()).expect("finished");
    let changes = recorder.changes();
    let of_file = changes.iter().map(Change::name).filter(|name| ["write", "sync file"].contains(name));
    let expected = ["write", "write", "sync file", "write", "write", "sync file", "write", "sync file"];
    assert_eq!(of_file.collect::<Vec<_>>(), expected);
}

/// The system tells of what it could not save once only.
#[test]
fn upload_with_a_failed_flush_cannot_be_finished() {
    let place = TempDir::new().expect("a temporary directory");
    // 0 flushes the name of the root, 1 makes the file, 2 writes, 3 flushes.
    let mut store = LocalStore::on(place.path(), Arc::new(Recorder::failing_at(3, io::ErrorKind::StorageFull)));
    store.root.flush_every = 1;
    let mut upload = block_on(store.create(&path("object"), None)).expect("created");
    let failed = block_on(upload.write(b"content"));
    assert!(matches!(&failed, Err(StorageError::Io { operation: "write", .. })), "{failed:?}");
    assert!(matches!(block_on(upload.finish()), Err(StorageError::Io { operation: "finish", .. })));
    assert_eq!(files(place.path()), [""; 0]);
}

#[test]
fn upload_with_a_failed_write_cannot_be_finished() {
    let place = TempDir::new().expect("a temporary directory");
    // 0 flushes the name of the root, 1 makes the file, 2 and 3 are the writes.
    let failing = Arc::new(Recorder::failing_at(3, io::ErrorKind::StorageFull));
    let store = LocalStore::on(place.path(), failing);
    let mut upload = block_on(store.create(&path("object"), None)).expect("created");
    block_on(upload.write(b"first")).expect("written");
    let failed = block_on(upload.write(b"second"));
    assert!(
        matches!(&failed, Err(StorageError::Io { operation: "write", source, .. })
            if source.kind() == io::ErrorKind::StorageFull),
        "{failed:?}"
    );
    assert!(matches!(block_on(upload.finish()), Err(StorageError::Io { operation: "finish", .. })));
    assert_eq!(files(place.path()), [""; 0]);
}

/// The way without `renameat2`, by link and unlink, keeps the contract as well.
mod by_link {
    use super::*;

    dcp_storage::store_conformance!(|| {
        let place = TempDir::new().expect("a temporary directory");
        move || LocalStore::on(place.path(), Arc::new(LinkDisk)).durability(Durability::None)
    });

    /// A disk whose file system cannot rename without replacing.
    #[derive(Debug)]
    struct LinkDisk;

    impl Disk for LinkDisk {
        fn rename_new(&self, dir: &fs::File, from: &str, to: &str) -> io::Result<()> {
            disk::link_new(dir, from, to)
        }
        fn make_dir(&self, parent: &fs::File, name: &std::ffi::OsStr) -> io::Result<()> {
            RealDisk.make_dir(parent, name)
        }
        fn make_file(&self, dir: &fs::File, name: &str) -> io::Result<fs::File> {
            RealDisk.make_file(dir, name)
        }
        fn open_file(&self, dir: &fs::File, name: &str) -> io::Result<fs::File> {
            RealDisk.open_file(dir, name)
        }
        fn write(&self, file: &fs::File, data: &[u8]) -> io::Result<()> {
            RealDisk.write(file, data)
        }
        fn write_at(&self, file: &fs::File, offset: u64, data: &[u8]) -> io::Result<()> {
            RealDisk.write_at(file, offset, data)
        }
        fn sync_file(&self, file: &fs::File) -> io::Result<()> {
            RealDisk.sync_file(file)
        }
        fn rename_over(&self, dir: &fs::File, from: &str, to: &str) -> io::Result<()> {
            RealDisk.rename_over(dir, from, to)
        }
        fn remove(&self, dir: &fs::File, name: &str) -> io::Result<()> {
            RealDisk.remove(dir, name)
        }
        fn sync_dir(&self, dir: &fs::File) -> io::Result<()> {
            RealDisk.sync_dir(dir)
        }
    }

    #[test]
    fn link_whose_response_was_lost_is_recognised() {
        let place = TempDir::new().expect("a temporary directory");
        let dir = fs::File::open(place.path()).expect("opened");
        fs::write(place.path().join("aside"), b"content").expect("written");
        fs::hard_link(place.path().join("aside"), place.path().join("object")).expect("linked");
        disk::link_new(&dir, "aside", "object").expect("it is our own link");
        assert_eq!(files(place.path()), ["object"]);

        fs::write(place.path().join("aside"), b"content").expect("written");
        let error = disk::link_new(&dir, "aside", "object").expect_err("this is another file");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }
}

const SCENARIOS: [Scenario; 5] =
    [Scenario::Upload, Scenario::Shared, Scenario::PublishNew, Scenario::PublishOver, Scenario::PublishOnVersion];
const OBJECT: &str = "a/b/object";

/// What the store is made to do with one object.
#[derive(Clone, Copy, Debug)]
enum Scenario {
    Upload,
    Shared,
    PublishNew,
    PublishOver,
    PublishOnVersion,
}

impl Scenario {
    /// The contents of the object, as one operation after the other changes them.
    fn states(self) -> Vec<Option<Vec<u8>>> {
        match self {
            Self::Upload | Self::Shared | Self::PublishNew => vec![None, Some(content(1))],
            Self::PublishOver | Self::PublishOnVersion => vec![None, Some(content(1)), Some(content(2))],
        }
    }
}

fn content(seed: u8) -> Vec<u8> {
    (0..1000_u32).map(|index| (index % 251) as u8 ^ seed).collect()
}

/// Runs the operations of a scenario until one fails. Each gives the number of states that are then past.
fn run(scenario: Scenario, store: &LocalStore) -> Vec<(usize, Result<(), StorageError>)> {
    let object = path(OBJECT);
    let publish = |seed, when| block_on(store.publish(&object, &content(seed), when));
    let first = match scenario {
        Scenario::Upload => block_on(async {
            let mut upload = store.create(&object, None).await?;
            upload.write(&content(1)[..400]).await?;
            upload.write(&content(1)[400..]).await?;
            upload.finish().await?;
            Ok(None)
        }),
        Scenario::Shared => block_on(share(store, &object)).map(|()| None),
        _ => publish(1, Precondition::Absent).map(Some),
    };
    let second = match (scenario, &first) {
        (Scenario::PublishOver, Ok(_)) => Some(publish(2, Precondition::None)),
        (Scenario::PublishOnVersion, Ok(Some(version))) => Some(publish(2, Precondition::Matches(version.clone()))),
        _ => None,
    };
    let results = [Some(first.map(drop)), second.map(|second| second.map(drop))];
    results.into_iter().flatten().enumerate().map(|(index, result)| (index + 1, result)).collect()
}

/// Writes an object as one of several, back to front.
async fn share(store: &LocalStore, object: &StorePath) -> Result<(), StorageError> {
    let id = store.begin(object, None).await?;
    let write = async {
        let mut hand = store.join(object, &id).await?;
        hand.write_at(400, &content(1)[400..]).await?;
        hand.write_at(0, &content(1)[..400]).await?;
        hand.flush().await?;
        store.complete(object, &id, 1000, Precondition::Absent).await
    };
    if let Err(error) = write.await {
        drop(SharedUploads::abort(store, object, &id).await);
        return Err(error);
    }
    Ok(())
}

struct Trace {
    /// The directory that holds the root, and was there before.
    outside: u64,
    changes: Vec<Change>,
    /// After how many changes each state of the object was promised.
    promised: Vec<usize>,
    states: Vec<Option<Vec<u8>>>,
}

fn record(scenario: Scenario, durability: Durability) -> Trace {
    let place = TempDir::new().expect("a temporary directory");
    let recorder = Arc::new(Recorder::default());
    let store = LocalStore::on(&place.path().join("root"), recorder.clone()).durability(durability);
    for (_, result) in run(scenario, &store) {
        result.expect("nothing fails");
    }
    let changes = recorder.changes();
    // An operation ends with the flush of its directory, or, where nothing is flushed, with the rename.
    let last = |index: &usize| match changes[*index] {
        Change::Rename { .. } => durability == Durability::None,
        Change::SyncDir { .. } => matches!(changes[index - 1], Change::Rename { .. }),
        _ => false,
    };
    let ends = (0..changes.len()).filter(last).map(|index| index + 1);
    let promised: Vec<_> = std::iter::once(0).chain(ends).collect();
    let states = scenario.states();
    assert_eq!(promised.len(), states.len(), "{changes:?}");
    Trace { outside: recorder::inode(place.path()), promised, states, changes }
}

/// A disk after a crash that breaks the promise, in words.
fn violation(changes: &[Change], trace: &Trace) -> Option<String> {
    (0..=changes.len()).find_map(|cut| {
        // The last state promised by then, or any that was begun after it.
        let promised = trace.promised.iter().rposition(|&at| at <= cut).expect("the first is promised from the start");
        let allowed = &trace.states[promised..trace.states.len().min(promised + 2)];
        let object = Path::new("root").join(OBJECT);
        disks_after_crash(&changes[..cut], trace.outside)
            .map(|disk| disk.read(&object))
            .find(|found| !allowed.contains(found))
            .map(|found| {
                let length = found.map(|found| found.len());
                format!("after {cut} changes, the object of {length:?} bytes in {:?}", &changes[..cut])
            })
    })
}

/// The names of all files below a directory.
fn files(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).expect("listed").map(|entry| entry.expect("read")) {
        if entry.file_type().expect("known").is_dir() {
            names.extend(files(&entry.path()));
        } else {
            names.push(entry.file_name().into_string().expect("ours"));
        }
    }
    names
}

fn path(path: &str) -> StorePath {
    StorePath::parse(path).expect("valid")
}
