//! PyTorch's format with other indexes: one for each rank, or with Lightning's file of values beside it.

use std::io;
use std::sync::Arc;

use dcp::{
    Checkpoint, DcpFormat, Error, LocalTensor, MemoryStore, OneObject, Saver, StateDict, StorageError, Store,
    StorePath, Value,
};
use dcp_storage::conformance::{Fault, FaultStore, Faults, block_on};
use dcp_tests::{Case, Place, assert_same_tree, cases, contents};
use ndarray::Array2;
use proptest::prelude::*;

use crate::round_trip::{for_pytorch, sorted, with_text_keys};

/// Saved and loaded on other meshes.
fn round_trip(case: &Case, format: &DcpFormat) -> Place {
    let place: Place = Arc::new(MemoryStore::new());
    case.save_with(&place, |saver| saver.format(format.clone())).expect("saves");
    case.load(&place).expect("loads");
    let mut loaded = Checkpoint::open(Arc::clone(&place)).expect("opens").load().expect("loads");
    if case.private {
        loaded.take("private");
    }
    assert_same_tree(&sorted(loaded), &sorted(with_text_keys(case.loaded())));
    place
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn with_an_index_for_each_rank_it_is_the_identity(case in cases(8, false).prop_map(for_pytorch)) {
        // Ranks are numbered from 0 in this form.
        prop_assume!(case.save.members.contains(&0));
        let place = round_trip(&case, &DcpFormat::new().index_per_rank());
        let indexes = contents(&place).keys().filter(|name| name.ends_with(".metadata")).count();
        prop_assert_eq!(indexes, case.save.members.len());
    }
}

fn save(store: impl Into<dcp::Location>, step: i64) -> Result<(), Error> {
    let outcomes = dcp::ThreadGroup::run(2, {
        let location = store.into();
        move |rank| {
            let state = StateDict::new().with("step", step);
            let saver = Saver::new().group(&rank).format(DcpFormat::new().index_per_rank());
            saver.overwrite(true).save_dict(&state, location.clone())
        }
    });
    outcomes.into_iter().try_for_each(|outcome| outcome.expect("no rank panics").map(drop))
}

#[test]
fn indexes_of_ranks_are_not_overwritten() {
    let store = MemoryStore::new();
    save(store.clone(), 1).expect("saves");
    save(store.clone(), 2).expect_err("it is there");
    assert_eq!(Checkpoint::open(store).and_then(|found| found.value("step")).expect("reads"), 1.into());
}

/// The index of rank 0 is the last to be written: without it there is no checkpoint.
#[test]
fn a_save_that_stops_leaves_no_checkpoint() {
    let counting = Faults::none();
    save(Arc::new(FaultStore::new(MemoryStore::new(), counting.clone())) as Arc<dyn Store>, 1).expect("saves");
    let mut unfinished = 0;
    for k in 0..counting.count() {
        for fault in [|| Fault::Stop, || Fault::Io(io::ErrorKind::StorageFull)] {
            let store = MemoryStore::new();
            let faults = Faults::none().at(k, fault());
            let saved = save(Arc::new(FaultStore::new(store.clone(), faults)) as Arc<dyn Store>, 1);
            match Checkpoint::open(store.clone()) {
                Ok(found) => assert_eq!(found.value("step").expect("reads"), 1.into()),
                Err(Error::Storage(error)) => {
                    assert!(saved.is_err(), "{k} {:?}", fault());
                    unfinished += usize::from(matches!(*error, StorageError::Unfinished { .. }));
                }
                Err(other) => panic!("{other:?}"),
            }
            if let (Fault::Io(_), Err(_)) = (fault(), saved) {
                let index = StorePath::parse("__1.metadata").expect("a path");
                assert!(block_on(store.size(&index)).is_err(), "{k}: it was taken back");
            }
        }
    }
    assert!(unfinished > 0);
}

/// What is neither a model's nor an optimizer's lies beside the index.
#[test]
fn lightnings_layout_is_read_as_one_state() {
    let weight = Array2::<f32>::ones((4, 3));
    let model = StateDict::new().with("weight", LocalTensor::whole(weight.view().into_dyn()).expect("a tensor"));
    let optimizer = StateDict::new().with("param_groups", StateDict::new().with("lr", 0.1));
    let hparams = StateDict::new().with("layers", 2).with("names", Value::List(vec!["a".into(), 1.into()]));
    let state =
        StateDict::new().with("model", model).with("optimizer_0", optimizer).with("hparams", hparams).with("epoch", 3);
    let store = MemoryStore::new();
    let saver = Saver::new().format(DcpFormat::new().lightning());
    saver.save_dict(&state, store.clone()).expect("saves");
    let files: Vec<String> = contents(&(Arc::new(store.clone()) as Place)).into_keys().collect();
    assert_eq!(files, [".dcp-claim-0", ".metadata", "__0_0.distcp", "meta.pt"]);
    let checkpoint = Checkpoint::open(store.clone()).expect("opens");
    let names: Vec<&str> = checkpoint.metadata().entries().map(|(fqn, _)| fqn.as_str()).collect();
    assert_eq!(names, ["model.weight", "optimizer_0.param_groups.lr", "hparams.layers", "hparams.names", "epoch"]);
    assert_eq!(checkpoint.value("hparams.names").expect("reads"), Value::List(vec!["a".into(), 1.into()]));
    assert_eq!(checkpoint.value("epoch").expect("reads"), 3.into());
    let file = OneObject::new(Arc::new(store.clone()), StorePath::parse("meta.pt").expect("a path"));
    let beside = Checkpoint::open(Arc::new(file) as Place).expect("opens");
    assert_eq!(beside.metadata().entries().map(|(fqn, _)| fqn.as_str()).collect::<Vec<_>>(), names[2..]);
    saver.save_dict(&state, store).expect_err("it is there");
}
