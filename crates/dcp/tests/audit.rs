//! Audits: everything that is wrong is named, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dcp::{
    Audit, Auditor, Checkpoint, Defect, Error, LocalStore, LocalTensor, Location, MemoryStore, NativeFormat, Saver,
    StateDict, StorageError, Store, Verdict,
};
use dcp_storage::conformance::{Fault, FaultStore, Faults};
use ndarray::Array2;
use tempfile::TempDir;

/// Bytes that one checksum covers.
const BLOCK: u64 = 64 << 10;
/// Bytes of a tensor, and where the second one starts: at the next multiple of 64.
const LENGTH: u64 = 250_000;
const SECOND: u64 = LENGTH.next_multiple_of(64);

/// Two tensors and two values.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = dir.path().join("step-1");
    let array = Array2::from_shape_fn((50, 5000), |(row, column)| ((row * 5000 + column) % 251) as u8);
    let tensor = || LocalTensor::whole(array.view().into_dyn()).expect("tensor");
    let state =
        StateDict::new().with("first", tensor()).with("second", tensor()).with("step", 7).with("note", "x".repeat(100));
    Saver::new().format(NativeFormat::new()).save_dict(&state, &place).expect("saves");
    (dir, place)
}

fn flip(path: &Path, offset: u64) {
    let mut bytes = fs::read(path).expect("read");
    bytes[offset as usize] ^= 4;
    fs::write(path, bytes).expect("written");
}

fn audit(place: &Path) -> Audit {
    Auditor::new().audit(place).expect("can be looked at")
}

fn data(place: &Path) -> PathBuf {
    place.join("__0_0.distcp")
}

/// What a defect is about.
fn about(defect: &Defect) -> (Option<&str>, Option<&str>, Option<u64>, &str) {
    (defect.fqn.as_ref().map(|fqn| fqn.as_str()), defect.file.as_deref(), defect.offset, defect.kind)
}

#[test]
fn a_sound_checkpoint_is_read_once_and_checked_whole() {
    let (_dir, place) = place();
    let told = AtomicU64::new(0);
    let tell = |bytes| {
        told.fetch_add(bytes, Ordering::Relaxed);
    };
    let audit = Auditor::new().progress(&tell).audit(&place).expect("can be looked at");
    assert_eq!((audit.verdict(), audit.defects.as_slice()), (Verdict::Sound, &[][..]));
    assert_eq!((audit.tensors, audit.values, audit.chunks, audit.files), (2, 2, 2, 1));
    assert_eq!(audit.format, Some("native"));
    assert!(audit.bytes > 2 * LENGTH + 100, "{audit:?}");
    assert_eq!((audit.checked, audit.unchecked()), (audit.bytes, 0));
    // Beside the items, the table of checksums.
    let table = 4 * (2 * LENGTH.div_ceil(BLOCK) + 2);
    assert_eq!(audit.read, audit.bytes + table);
    assert_eq!(told.into_inner(), audit.read);
}

#[test]
fn a_quick_audit_reads_no_items() {
    let (_dir, place) = place();
    flip(&data(&place), 7);
    let quick = Auditor::new().quick(true).audit(&place).expect("can be looked at");
    assert_eq!((quick.verdict(), quick.checked), (Verdict::Sound, 0));
    assert!(quick.read < 1000 && quick.bytes > 2 * LENGTH, "{quick:?}");
    assert_eq!(audit(&place).verdict(), Verdict::Bad);
    let cut = fs::read(data(&place)).expect("read");
    fs::write(data(&place), &cut[..cut.len() - 1]).expect("written");
    let quick = Auditor::new().quick(true).audit(&place).expect("can be looked at");
    assert_eq!((quick.verdict(), quick.defects.len()), (Verdict::Bad, 4));
}

#[test]
fn every_damaged_item_is_named_with_file_and_offset() {
    let (_dir, place) = place();
    let size = fs::metadata(data(&place)).expect("there").len();
    let table = size - 4 * (2 * LENGTH.div_ceil(BLOCK) + 2);
    flip(&data(&place), BLOCK + 7);
    flip(&data(&place), SECOND + 2 * BLOCK);
    let found = audit(&place);
    assert_eq!(
        found.defects.iter().map(about).collect::<Vec<_>>(),
        [
            (Some("first"), Some("__0_0.distcp"), Some(BLOCK), "damaged"),
            (Some("second"), Some("__0_0.distcp"), Some(SECOND + 2 * BLOCK), "damaged"),
        ]
    );
    assert_eq!(found.checked, found.bytes - 2 * LENGTH);
    assert_eq!(found.defects[0].region.as_ref().map(|region| region.sizes().to_vec()), Some(vec![50, 5000]));
    flip(&data(&place), table - 1);
    let found = audit(&place);
    assert_eq!(found.defects.len(), 3);
    assert!(found.defects.iter().all(|defect| defect.is_fault));
    let last = &found.defects[2];
    assert!(matches!(about(last), (Some("step" | "note"), Some("__0_0.distcp"), Some(_), "damaged")), "{last:?}");
}

#[test]
fn a_damaged_footer_and_a_missing_file_concern_all_that_is_in_them() {
    let (_dir, place) = place();
    let size = fs::metadata(data(&place)).expect("there").len();
    flip(&data(&place), size - 1);
    let kinds = |audit: &Audit| audit.defects.iter().map(|defect| (defect.kind, defect.is_fault)).collect::<Vec<_>>();
    assert_eq!(kinds(&audit(&place)), [("corrupt", true); 4]);
    fs::remove_file(data(&place)).expect("removed");
    assert_eq!(kinds(&audit(&place)), [("not-found", true); 4]);
}

#[test]
fn an_index_that_cannot_be_read_is_one_problem() {
    let (_dir, place) = place();
    flip(&place.join("index.dcp"), 40);
    let found = audit(&place);
    assert_eq!((found.verdict(), found.format, found.defects.len()), (Verdict::Bad, None, 1));
    assert_eq!(about(&found.defects[0]).1, Some("index.dcp"));
    fs::remove_file(place.join("index.dcp")).expect("removed");
    assert_eq!(audit(&place).defects.iter().map(|defect| defect.kind).collect::<Vec<_>>(), ["unfinished"]);
}

#[test]
fn where_nothing_is_there_is_no_audit() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for place in [dir.path().to_owned(), dir.path().join("missing")] {
        let error = Auditor::new().audit(&place).expect_err("nothing there");
        assert!(
            matches!(&error, Error::Storage(error) if matches!(**error, StorageError::NoCheckpoint { .. })),
            "{error:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn past_the_page_cache_the_same_is_found() {
    let (_dir, place) = place();
    let cold = || Auditor::new().audit(Location::from(&place).cold(true)).expect("can be looked at");
    assert_eq!((cold().verdict(), cold().unchecked()), (Verdict::Sound, 0));
    flip(&data(&place), SECOND);
    assert_eq!(cold().defects.len(), 1);
}

#[test]
fn only_directories_are_read_past_the_page_cache() {
    let memory = Location::from(MemoryStore::new()).cold(true);
    assert!(matches!(Auditor::new().audit(memory), Err(Error::Location { .. })));
}

#[test]
fn a_tensor_with_very_many_bad_chunks_is_given_up() {
    use dcp::{DType, DeviceMesh, Placement, TensorSpec, ThreadGroup, View};
    let dir = tempfile::tempdir().expect("temporary directory");
    let (ranks, rows) = (2, 400u64);
    let mesh = Arc::new(DeviceMesh::new([ranks]).expect("mesh"));
    let placements = [Placement::StridedShard { dim: 0, split_factor: 200 }];
    let spec = TensorSpec::sharded(DType::UInt8, [rows], &mesh, placements).expect("spec");
    let bytes = vec![7u8; rows as usize];
    let saved = ThreadGroup::run(2, |rank| {
        let held = &bytes[..(rows / u64::from(ranks)) as usize];
        let part = View::from_bytes(DType::UInt8, &[rows / u64::from(ranks)], held).expect("view");
        let state = StateDict::new().with("rows", LocalTensor::new(spec.clone(), part)).with("step", 1);
        Saver::new().group(&rank).save_dict(&state, dir.path())
    });
    saved.into_iter().for_each(|outcome| drop(outcome.expect("no panic").expect("saves")));
    assert_eq!(audit(dir.path()).chunks, 400);
    fs::remove_file(dir.path().join("__1_0.distcp")).expect("removed");
    let found = audit(dir.path());
    assert_eq!((found.defects.len(), found.unlisted, found.values), (Audit::MAX_DEFECTS, 100, 1));
}

#[test]
fn what_is_sound_can_be_rescued() {
    let (_dir, place) = place();
    flip(&data(&place), SECOND + 1);
    let checkpoint = Checkpoint::salvage(&place).expect("opens");
    assert!(checkpoint.findings().is_empty());
    assert_eq!(checkpoint.tensor("first").expect("sound").bytes().len() as u64, LENGTH);
    assert!(checkpoint.tensor("second").is_err());
    assert_eq!(checkpoint.value("step").expect("sound"), 7.into());
    assert_eq!(checkpoint.check("first").expect("sound").verified, LENGTH);
    assert!(matches!(
        checkpoint.check("second"),
        Err(Error::Storage(error)) if matches!(&*error, StorageError::Damaged { fqn, .. } if fqn.as_str() == "second")
    ));
}

/// Whatever cannot be read because of I/O is told, and never taken for sound nor for the checkpoint's fault.
#[test]
fn io_errors_are_not_the_checkpoints_fault() {
    let (_dir, place) = place();
    let audit = |faults: Faults| {
        let store: Arc<dyn Store> = Arc::new(FaultStore::new(LocalStore::open(&place), faults));
        Auditor::new().audit(store)
    };
    let counting = Faults::none();
    assert_eq!(audit(counting.clone()).expect("can be looked at").verdict(), Verdict::Sound);
    let mut unknown = 0;
    for k in 0..counting.count() {
        match audit(Faults::none().at(k, Fault::Stop)) {
            Ok(audit) => {
                assert_eq!(audit.verdict(), Verdict::Unknown, "stopped at {k}: {audit:?}");
                assert!(audit.defects.iter().all(|defect| defect.kind == "io"), "stopped at {k}: {audit:?}");
                unknown += 1;
            }
            Err(error) => assert!(!error.is_bad_checkpoint(), "stopped at {k}: {error}"),
        }
    }
    assert!(unknown > 0);
}
