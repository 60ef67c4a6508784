//! A conversion whose process has died is gone on with.

use std::collections::BTreeMap;
use std::sync::Arc;

use dcp::{
    Checkpoint, ConvertReport, Converter, DType, DeviceMesh, Error, LocalTensor, MemoryStore, Saver, StateDict,
    StorageError, Store, StorePath,
};
use dcp_storage::conformance::{Fault, FaultStore, Faults, Operation, block_on};

const RANKS: u64 = 3;
const CLAIM: &str = ".dcp-claim-0";

/// A checkpoint of some numbers, which `add` tells from others.
pub(crate) fn source(add: f32) -> MemoryStore {
    let store = MemoryStore::new();
    save(&store, add, false);
    store
}

fn save(to: &MemoryStore, add: f32, overwrite: bool) {
    let weight = ndarray::Array2::from_shape_fn((7, 5), |(row, column)| (5 * row + column) as f32 + add).into_dyn();
    let weight = LocalTensor::whole(weight.view()).expect("a tensor");
    let state = StateDict::new().with("weight", weight).with("step", 7);
    Saver::new().overwrite(overwrite).save_dict(&state, to.clone()).expect("saves");
}

/// What the checkpoint has; `None` if there is none.
pub(crate) fn added(at: &MemoryStore) -> Option<f32> {
    let checkpoint = match Checkpoint::open(at.clone()) {
        Ok(checkpoint) => checkpoint,
        Err(Error::Storage(error))
            if matches!(*error, StorageError::NoCheckpoint { .. } | StorageError::Unfinished { .. }) =>
        {
            return None;
        }
        Err(other) => panic!("{other}"),
    };
    assert_eq!(checkpoint.value("step").expect("a value"), 7.into());
    let weight = checkpoint.tensor("weight").expect("whole").to_array::<f32>().expect("float32");
    let add = weight[[0, 0]];
    let whole = ndarray::Array2::from_shape_fn((7, 5), |(row, column)| (5 * row + column) as f32 + add);
    assert_eq!(weight, whole.into_dyn());
    Some(add)
}

fn converter<'a>() -> Converter<'a> {
    converter_of(RANKS as u32)
}

pub(crate) fn converter_of<'a>(ranks: u32) -> Converter<'a> {
    let mesh = DeviceMesh::new([ranks]).expect("a mesh");
    let rules: [(&str, Vec<_>); 0] = [];
    Converter::new().reshard(mesh, rules).expect("no patterns").jobs(1).overwrite(true)
}

pub(crate) fn faulty(store: &MemoryStore, faults: &Faults) -> Arc<dyn Store> {
    Arc::new(FaultStore::new(store.clone(), faults.clone()))
}

/// Converts with these faults.
fn convert(from: &MemoryStore, to: &MemoryStore, faults: &Faults) -> Result<ConvertReport, Error> {
    converter().convert(from.clone(), faulty(to, faults))
}

/// How many files of data were begun.
fn files(faults: &Faults) -> u64 {
    faults.log().iter().filter(|operation| operation.name == "create").count() as u64
}

/// What is in a store, with sizes.
fn listing(store: &MemoryStore) -> BTreeMap<String, u64> {
    let objects = block_on(store.list(None)).expect("lists");
    objects.into_iter().map(|object| (object.path.to_string(), object.size)).collect()
}

/// How many times an object was published before the `k`-th operation.
fn published(log: &Faults, k: usize, name: &str) -> usize {
    let is_it = |operation: &&Operation| {
        operation.name == "publish" && operation.path.as_ref().is_some_and(|path| path.as_str() == name)
    };
    log.log()[..k].iter().filter(is_it).count()
}

/// A destination that is empty, or has an older checkpoint.
pub(crate) fn destination(old: bool) -> MemoryStore {
    let to = MemoryStore::new();
    if old {
        save(&to, 500.0, false);
    }
    to
}

#[test]
fn wherever_a_conversion_dies_the_next_one_goes_on() {
    for old in [false, true] {
        let (from, clean) = (source(1.0), destination(old));
        let log = Faults::none();
        convert(&from, &clean, &log).expect("converts");
        assert_eq!(files(&log), RANKS);
        let claim = if old { ".dcp-claim-1" } else { CLAIM };
        for k in 0..log.count() {
            let to = destination(old);
            let faults = Faults::none().at(k, Fault::Stop);
            let first = convert(&from, &to, &faults);
            // The first change of the claim makes it; each other one has a rank more.
            let done = published(&log, k, claim).saturating_sub(1).min(RANKS as usize) as u64;
            if published(&log, k, "index.dcp") > 0 {
                // It was committed. What was still to do can wait.
                assert_eq!(added(&to), Some(1.0), "stopped at {k}");
                continue;
            }
            assert!(first.is_err(), "stopped at {k}");
            assert_eq!(added(&to), old.then_some(500.0), "stopped at {k}");
            let again = Faults::none();
            let report = convert(&from, &to, &again).expect("goes on");
            assert_eq!(report.found.files, done, "stopped at {k}");
            assert_eq!(report.written.files, RANKS);
            assert_eq!(files(&again), RANKS - done, "stopped at {k}");
            assert_eq!(added(&to), Some(1.0));
            assert_eq!(listing(&to), listing(&clean), "stopped at {k}");
        }
    }
}

#[test]
fn the_one_that_goes_on_may_die_as_well() {
    let (from, log) = (source(1.0), Faults::none());
    let convert = |to: &MemoryStore, faults: &Faults| converter_of(2).convert(from.clone(), faulty(to, faults));
    convert(&MemoryStore::new(), &log).expect("converts");
    for first in 0..log.count() {
        for second in (first % 3..log.count()).step_by(3) {
            let to = MemoryStore::new();
            drop(convert(&to, &Faults::none().at(first, Fault::Stop)));
            drop(convert(&to, &Faults::none().at(second, Fault::Stop)));
            convert(&to, &Faults::none()).expect("converts");
            assert_eq!(added(&to), Some(1.0), "stopped at {first}, then at {second}");
        }
    }
}

/// Destination of a conversion that was stopped when two of three ranks were on record.
fn stopped(from: &MemoryStore) -> MemoryStore {
    let log = Faults::none();
    convert(from, &MemoryStore::new(), &log).expect("converts");
    let creates: Vec<_> =
        log.log().iter().enumerate().filter(|(_, operation)| operation.name == "create").map(|(k, _)| k).collect();
    let to = MemoryStore::new();
    convert(from, &to, &Faults::none().at(creates[2], Fault::Stop)).expect_err("stopped");
    to
}

#[test]
fn so_does_one_to_the_format_of_pytorch() {
    let (from, to, log) = (source(1.0), MemoryStore::new(), Faults::none());
    let convert =
        |to: &MemoryStore, faults: &Faults| converter().to_named("dcp").convert(from.clone(), faulty(to, faults));
    convert(&MemoryStore::new(), &log).expect("converts");
    let last = log.log().iter().rposition(|operation| operation.name == "create").expect("files");
    convert(&to, &Faults::none().at(last, Fault::Stop)).expect_err("stopped");
    let report = convert(&to, &Faults::none()).expect("goes on");
    assert_eq!((report.found.files, report.written.files, added(&to)), (RANKS - 1, RANKS, Some(1.0)));
}

fn path(name: &str) -> StorePath {
    StorePath::parse(name).expect("a path")
}

#[test]
fn a_record_is_believed_only_of_files_that_are_there() {
    let from = source(1.0);
    for name in ["__0_0.distcp", "__1_0.distcp"] {
        for short in [false, true] {
            let to = stopped(&from);
            block_on(to.delete(&path(name))).expect("removed");
            if short {
                block_on(to.publish(&path(name), b"short", dcp_storage::Precondition::Absent)).expect("put");
            }
            let report = convert(&from, &to, &Faults::none()).expect("goes on");
            assert_eq!((report.found.files, added(&to)), (1, Some(1.0)));
        }
    }
}

#[test]
fn only_the_same_conversion_goes_on() {
    let from = source(1.0);
    let found = |converter: &Converter<'_>, from: &MemoryStore| {
        let to = stopped(&source(1.0));
        let report = converter.convert(from.clone(), to.clone()).expect("converts");
        (report.found.files, Checkpoint::open(to).expect("there").metadata().len())
    };
    assert_eq!(found(&converter(), &from).0, 2, "an equal source, in the same place");
    assert_eq!(found(&converter(), &source(2.0)).0, 0, "another source");
    assert_eq!(found(&converter().dtype(DType::BFloat16), &from).0, 0);
    assert_eq!(found(&converter().exclude("step").expect("a pattern"), &from), (0, 1));
    assert_eq!(found(&converter().rename("weight", "w"), &from).0, 0);
    assert_eq!(found(&converter_of(2), &from).0, 0, "another mesh");
    assert_eq!(found(&converter().to(dcp::NativeFormat::new()), &from).0, 0, "a format of which not all is known");
    assert_eq!(found(&converter().fsync(false), &from).0, 0, "what may not be durable");
    let changed = source(1.0);
    save(&changed, 1.0, true);
    assert_eq!(found(&converter(), &changed).0, 0, "the same content, written again");
}

#[test]
fn a_claim_that_cannot_be_read_is_left_alone() {
    let from = source(1.0);
    let to = stopped(&from);
    block_on(to.publish(&path(CLAIM), b"not a claim", dcp_storage::Precondition::None)).expect("put");
    let report = convert(&from, &to, &Faults::none()).expect("converts");
    assert_eq!((report.found.files, added(&to)), (0, Some(1.0)));
    assert!(listing(&to).contains_key("__0_0.distcp") && listing(&to).contains_key("__0_0.g1.distcp"));
}

#[test]
fn what_fails_leaves_nothing() {
    let from = source(1.0);
    let full = || Fault::Io(std::io::ErrorKind::StorageFull);
    let log = Faults::none();
    convert(&from, &stopped(&from), &log).expect("goes on");
    let mut failed = 0;
    for k in 0..log.count() {
        let to = stopped(&from);
        let Err(_) = convert(&from, &to, &Faults::none().at(k, full())) else { continue };
        let creates = log.log()[..k].iter().filter(|operation| operation.name == "create").count();
        if creates > 0 && added(&to).is_none() {
            failed += 1;
            assert!(listing(&to).is_empty(), "failed at {k}: {:?}", listing(&to));
        }
    }
    assert!(failed > 1, "{failed}");
}
