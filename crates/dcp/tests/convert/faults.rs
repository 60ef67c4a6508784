//! At whatever operation a store fails: the destination is as it was, or the whole new one, and the source is untouched.

use std::io::ErrorKind;
use std::sync::Arc;

use dcp::crates::dcp_storage::conformance::{Fault, FaultStore, Faults};
use dcp::crates::dcp_storage::{Io, Precondition, StorePath};
use dcp::{Checkpoint, Converter, DcpFormat, Error, Format, MemoryStore, NativeFormat, StorageError};

use crate::support::{Place, assert_same, contents, counting, save, small};

fn converter<'a>(format: impl Format + 'static) -> Converter<'a> {
    // One job: what happens is in one order.
    Converter::new().to(format).jobs(1).overwrite(true)
}

/// Fails each operation on the destination in turn.
fn fail_writing(format: impl Format + Clone + 'static, older: Option<&Place>, fault: impl Fn() -> Fault) {
    let source = small();
    let before = contents(&*source);
    let log = Faults::none();
    let watched: Place = Arc::new(FaultStore::new(copy(older), log.clone()));
    converter(format.clone()).convert(Arc::clone(&source), watched).expect("converts");
    assert!(log.count() > 10);
    for k in 0..log.count() {
        let place = copy(older);
        let faults = Faults::none().at(k, fault());
        let failing: Place = Arc::new(FaultStore::new(Arc::clone(&place), faults.clone()));
        let outcome = converter(format.clone()).convert(Arc::clone(&source), failing);
        assert_eq!(faults.pending(), 0, "operation {k} has failed");
        assert_eq!(contents(&*source), before);
        assert!(matches!(outcome, Ok(_) | Err(Error::Storage(_))), "operation {k}: {outcome:?}");
        match Checkpoint::open(Arc::clone(&place)) {
            // Where the commit came through and nobody was told, it may be the new one after an error, too.
            Ok(found) if outcome.is_ok() || found.metadata().len() > 2 => assert_same(&source, &place),
            Ok(_) => assert_same(older.expect("there was nothing before"), &place),
            Err(_) => assert!(outcome.is_err() && older.is_none(), "operation {k}"),
        }
        // Whatever was left, the next one does its work.
        converter(format.clone()).convert(Arc::clone(&source), Arc::clone(&place)).expect("converts");
        assert_same(&source, &place);
    }
}

/// A place with the same objects.
fn copy(older: Option<&Place>) -> Place {
    let place: Place = Arc::new(MemoryStore::new());
    let io = Io::new().expect("threads");
    for (name, bytes) in older.map(|older| contents(&**older)).unwrap_or_default() {
        let path = StorePath::parse(&name).expect("a name");
        io.block_on(place.publish(&path, &bytes, Precondition::Absent)).expect("published");
    }
    place
}

#[test]
fn a_store_that_fails_leaves_the_old_or_the_new_one() {
    let older: Place = Arc::new(MemoryStore::new());
    save(&[("older", counting(2, 2, 5.0))], &older);
    for older in [None, Some(&older)] {
        fail_writing(NativeFormat::new(), older, || Fault::Io(ErrorKind::StorageFull));
        fail_writing(NativeFormat::new(), older, || Fault::LoseResponse);
        fail_writing(NativeFormat::new(), older, || Fault::Stop);
    }
    fail_writing(DcpFormat::new(), None, || Fault::Io(ErrorKind::StorageFull));
    fail_writing(DcpFormat::new(), None, || Fault::Stop);
}

/// One failure, after which the store works: nothing at all is left behind.
#[test]
fn a_full_disk_leaves_nothing() {
    let source = small();
    let log = Faults::none();
    let watched: Place = Arc::new(FaultStore::new(MemoryStore::new(), log.clone()));
    converter(NativeFormat::new()).convert(Arc::clone(&source), watched).expect("converts");
    let is_data = |name: &str| ["create", "write", "finish"].contains(&name);
    let writes: Vec<usize> = (0..log.count()).filter(|&k| is_data(log.log()[k].name)).collect();
    assert!(writes.len() > 4, "{:?}", log.log());
    for k in writes {
        let place: Place = Arc::new(MemoryStore::new());
        let full = Faults::none().at(k, Fault::Io(ErrorKind::StorageFull));
        let full: Place = Arc::new(FaultStore::new(Arc::clone(&place), full));
        match converter(NativeFormat::new()).convert(Arc::clone(&source), full) {
            Err(Error::Storage(error)) => {
                assert!(matches!(&*error, StorageError::Io { source, .. } if source.kind() == ErrorKind::StorageFull));
                assert!(!error.is_bad_checkpoint());
            }
            other => panic!("{other:?}"),
        }
        assert!(contents(&*place).is_empty());
    }
}

/// Fails each operation on the source in turn.
#[test]
fn a_source_that_cannot_be_read_leaves_nothing() {
    let source = small();
    for memory in [0, Converter::MEMORY] {
        let log = Faults::none();
        let watched: Place = Arc::new(FaultStore::new(Arc::clone(&source), log.clone()));
        let converter = || converter(DcpFormat::new()).memory(memory);
        converter().convert(watched, MemoryStore::new()).expect("converts");
        for k in 0..log.count() {
            let place: Place = Arc::new(MemoryStore::new());
            let faults = Faults::none().at(k, Fault::Io(ErrorKind::PermissionDenied));
            let failing: Place = Arc::new(FaultStore::new(Arc::clone(&source), faults));
            match converter().convert(failing, Arc::clone(&place)) {
                Err(Error::Storage(error) | Error::Source { source: error, .. }) => {
                    assert!(matches!(*error, StorageError::Io { .. }), "operation {k}: {error:?}");
                }
                other => panic!("operation {k}: {other:?}"),
            }
            assert!(contents(&*place).is_empty(), "operation {k}");
        }
    }
}
