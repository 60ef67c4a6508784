//! `FaultStore` does what it says at exactly the operation it is told.

use std::io;

use dcp_storage::conformance::{Fault, FaultStore, Faults, block_on};
use dcp_storage::{MemoryStore, Precondition, ReadRange, StorageError, Store, StorePath};

#[test]
fn every_call_is_one_operation() {
    let store = FaultStore::new(MemoryStore::new(), Faults::none());
    block_on(everything(&store)).expect("nothing fails");
    let log: Vec<_> = store.faults().log().iter().map(ToString::to_string).collect();
    assert_eq!(
        log,
        [
            "create data",
            "write data",
            "write data",
            "finish data",
            "create other",
            "abort other",
            "publish index",
            "head index",
            "size index",
            "read data",
            "list",
            "unfinished",
            "discard_unfinished other",
            "delete index",
        ]
    );
    assert_eq!(store.faults().count(), log.len());
}

#[test]
fn failed_operation_has_no_effect_and_later_ones_work() {
    let inner = MemoryStore::new();
    let store = FaultStore::new(inner.clone(), Faults::none().at(0, Fault::Io(io::ErrorKind::StorageFull)));
    let failed = block_on(store.publish(&path("index"), b"1", Precondition::None));
    assert!(
        matches!(&failed, Err(StorageError::Io { operation: "publish", path, source, .. })
            if path == "index" && source.kind() == io::ErrorKind::StorageFull),
        "{failed:?}"
    );
    assert!(matches!(block_on(inner.head(&path("index"))), Err(StorageError::NotFound { .. })));
    block_on(store.publish(&path("index"), b"2", Precondition::Absent)).expect("only the first fails");
}

#[test]
fn any_error_can_be_injected() {
    let error = StorageError::NotAFile { location: "here".to_owned(), path: path("data"), found: "a device" };
    let store = FaultStore::new(MemoryStore::new(), Faults::none().at(0, Fault::Fail(error)));
    let failed = block_on(store.head(&path("data")));
    assert!(matches!(failed, Err(StorageError::NotAFile { found: "a device", .. })), "{failed:?}");
}

#[test]
fn failed_finish_leaves_nothing() {
    let inner = MemoryStore::new();
    let store = FaultStore::new(inner.clone(), Faults::none().at(2, Fault::Io(io::ErrorKind::StorageFull)));
    let mut upload = block_on(store.create(&path("data"), None)).expect("created");
    block_on(upload.write(b"bytes")).expect("written");
    assert!(matches!(block_on(upload.finish()), Err(StorageError::Io { operation: "finish", .. })));
    assert_eq!(block_on(inner.list(None)).expect("listed"), []);
}

#[test]
fn upload_with_a_failed_write_can_only_be_aborted() {
    let inner = MemoryStore::new();
    let faults = Faults::none().at(1, Fault::Io(io::ErrorKind::StorageFull)).at(5, Fault::LoseResponse);
    let store = FaultStore::new(inner.clone(), faults);
    let mut upload = block_on(store.create(&path("data"), None)).expect("created");
    assert!(is_io(&block_on(upload.write(b"bytes")), io::ErrorKind::StorageFull));
    assert!(is_io(&block_on(upload.write(b"more")), io::ErrorKind::BrokenPipe));
    assert!(is_io(&block_on(upload.finish()), io::ErrorKind::BrokenPipe));

    let mut upload = block_on(store.create(&path("data"), None)).expect("created");
    assert!(is_io(&block_on(upload.write(b"bytes")), io::ErrorKind::ConnectionReset));
    block_on(upload.abort()).expect("nothing is left to abort");
    assert_eq!(block_on(inner.list(None)).expect("listed"), []);
    assert_eq!(store.faults().pending(), 0);
}

#[test]
fn nothing_works_after_a_stop() {
    let count = {
        let store = FaultStore::new(MemoryStore::new(), Faults::none());
        block_on(everything(&store)).expect("nothing fails");
        store.faults().count()
    };
    for k in 0..count {
        let inner = MemoryStore::new();
        let store = FaultStore::new(inner.clone(), Faults::none().at(k, Fault::Stop));
        let stopped = block_on(everything(&store));
        assert!(is_io(&stopped, io::ErrorKind::BrokenPipe), "{k}: {stopped:?}");
        assert_eq!(store.faults().count(), k + 1, "it gives up at the first error");

        let before = block_on(inner.list(None)).expect("listed");
        for result in [
            block_on(store.publish(&path("late"), b"", Precondition::None)).map(drop),
            block_on(store.delete(&path("data"))),
            block_on(store.create(&path("late"), None)).map(drop),
        ] {
            assert!(is_io(&result, io::ErrorKind::BrokenPipe), "{k}: {result:?}");
        }
        assert_eq!(block_on(inner.list(None)).expect("listed"), before, "{k}");
    }
}

#[test]
fn stop_loses_uploads_under_way() {
    let inner = MemoryStore::new();
    let store = FaultStore::new(inner.clone(), Faults::none().at(3, Fault::Stop));
    let mut upload = block_on(store.create(&path("data"), None)).expect("created");
    block_on(upload.write(b"bytes")).expect("written");
    block_on(store.list(None)).expect("listed");
    assert!(is_io(&block_on(upload.write(b"more")), io::ErrorKind::BrokenPipe));
    assert!(is_io(&block_on(upload.finish()), io::ErrorKind::BrokenPipe));
    assert_eq!(block_on(inner.list(None)).expect("listed"), []);
}

#[test]
fn lost_response_has_its_effect() {
    let inner = MemoryStore::new();
    let store = FaultStore::new(inner.clone(), Faults::none().at(0, Fault::LoseResponse).at(3, Fault::LoseResponse));
    let lost = block_on(store.publish(&path("index"), b"committed", Precondition::Absent));
    assert!(is_io(&lost, io::ErrorKind::ConnectionReset), "{lost:?}");
    assert!(lost.is_err_and(|error| error.is_retryable()));
    assert_eq!(block_on(inner.head(&path("index"))).expect("it was published").size, 9);

    let mut upload = block_on(store.create(&path("data"), None)).expect("created");
    block_on(upload.write(b"bytes")).expect("written");
    assert!(is_io(&block_on(upload.finish()), io::ErrorKind::ConnectionReset));
    assert_eq!(block_on(inner.head(&path("data"))).expect("it was finished").size, 5);
    assert_eq!(store.faults().pending(), 0);
}

#[test]
fn hook_comes_in_between() {
    let inner = MemoryStore::new();
    let other = inner.clone();
    let interleave =
        Fault::before(move || drop(block_on(other.publish(&path("index"), b"theirs", Precondition::Absent))));
    let store = FaultStore::new(inner, Faults::none().at(1, interleave));
    // We look, they publish, we publish.
    assert!(matches!(block_on(store.head(&path("index"))), Err(StorageError::NotFound { .. })));
    let result = block_on(store.publish(&path("index"), b"ours", Precondition::Absent));
    assert!(matches!(result, Err(StorageError::PreconditionFailed { .. })), "{result:?}");
}

#[test]
fn several_faults_at_one_operation_happen_in_order() {
    let inner = MemoryStore::new();
    let seen = inner.clone();
    let faults = Faults::none()
        .at(0, Fault::LoseResponse)
        .at(0, Fault::before(move || assert!(block_on(seen.list(None)).expect("listed").is_empty())));
    let store = FaultStore::new(inner.clone(), faults);
    let lost = block_on(store.publish(&path("index"), b"", Precondition::None));
    assert!(is_io(&lost, io::ErrorKind::ConnectionReset), "{lost:?}");
    assert_eq!(block_on(inner.list(None)).expect("listed").len(), 1);
}

#[test]
fn stores_with_the_same_faults_count_together() {
    let faults = Faults::none().at(1, Fault::Stop);
    let one = FaultStore::new(MemoryStore::new(), faults.clone());
    let other = FaultStore::new(MemoryStore::new(), faults.clone());
    block_on(one.list(None)).expect("the first operation");
    assert!(is_io(&block_on(other.list(None)), io::ErrorKind::BrokenPipe));
    assert!(is_io(&block_on(one.list(None)), io::ErrorKind::BrokenPipe));
    assert_eq!((faults.count(), faults.pending()), (3, 0));
}

/// Each operation at least once.
async fn everything(store: &dyn Store) -> Result<(), StorageError> {
    let mut upload = store.create(&path("data"), None).await?;
    upload.write(b"0123").await?;
    upload.write(b"4567").await?;
    upload.finish().await?;
    store.create(&path("other"), None).await?.abort().await?;
    store.publish(&path("index"), b"index", Precondition::Absent).await?;
    store.head(&path("index")).await?;
    store.size(&path("index")).await?;
    store.read(&path("data"), &mut [ReadRange { offset: 2, buffer: &mut [0; 4] }]).await?;
    store.list(None).await?;
    store.unfinished().await?;
    store.discard_unfinished(&path("other")).await?;
    store.delete(&path("index")).await
}

fn is_io<T>(result: &Result<T, StorageError>, kind: io::ErrorKind) -> bool {
    matches!(result, Err(StorageError::Io { source, .. }) if source.kind() == kind)
}

fn path(path: &str) -> StorePath {
    StorePath::parse(path).expect("valid")
}
