//! Files of `torch.save` in stores that take an object only from its first byte to its last, as buckets do.

use std::io;
use std::sync::Arc;

use dcp::{
    BufferPlace, Checkpoint, Converter, DType, Error, HeldPart, LocalTensor, MemoryStore, Region, Saver, Shape,
    StateDict, StorageError, Store, TensorSpec, ThreadGroup, TorchSaveFormat, View,
};
use dcp_storage::conformance::{Fault, FaultStore, Faults, block_on};
use dcp_tests::{CountingStore, Place, assert_same_tree, cases, contents};
use proptest::prelude::*;

use crate::again::state_of;
use crate::one_file::{file_in, for_one_file};
use crate::round_trip::sorted;

/// The store's own wrapper has nothing for several writers.
fn in_order(store: MemoryStore) -> Place {
    file_in(CountingStore::new(store))
}

fn save(state: &StateDict<'_>, file: &Place, overwrite: bool) -> Result<(), StorageError> {
    let saved = Saver::new().format(TorchSaveFormat::new()).overwrite(overwrite).save_dict(state, Arc::clone(file));
    match saved {
        Ok(_) => Ok(()),
        Err(Error::Storage(error)) => Err(*error),
        Err(other) => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_bytes_are_those_that_many_write(case in cases(9, false).prop_map(for_one_file), jobs in 1..5usize) {
        let source: Place = Arc::new(MemoryStore::new());
        case.save(&source).expect("saves");
        let (together, alone) = (MemoryStore::new(), MemoryStore::new());
        for place in [file_in(together.clone()), in_order(alone.clone())] {
            let converter = Converter::new().to(TorchSaveFormat::new()).jobs(jobs);
            converter.convert(Arc::clone(&source), place).expect("converts");
        }
        prop_assert!(contents(&together) == contents(&alone));
        let one_rank = in_order(MemoryStore::new());
        let load = |place: &Place| Checkpoint::open(Arc::clone(place)).expect("opens").load().expect("loads");
        let loaded = load(&source);
        save(&state_of(&loaded), &one_rank, false).expect("saves");
        assert_same_tree(&sorted(load(&one_rank)), &sorted(loaded));
    }
}

#[test]
fn several_ranks_are_refused_before_anything_is_written() {
    let store = MemoryStore::new();
    let outcomes = ThreadGroup::run(2, |rank| {
        let state = StateDict::new().with("step", 1);
        Saver::new().group(&rank).format(TorchSaveFormat::new()).save_dict(&state, in_order(store.clone()))
    });
    for outcome in outcomes {
        let error = outcome.expect("no rank panics").expect_err("there is no place for several");
        assert!(error.to_string().contains("cannot take one file from several writers"), "{error}");
    }
    assert!(contents(&store).is_empty());
}

#[test]
fn nothing_is_replaced() {
    let store = MemoryStore::new();
    save(&StateDict::new().with("step", 1), &in_order(store.clone()), false).expect("saves");
    let before = contents(&store);
    let refused = save(&StateDict::new().with("step", 2), &in_order(store.clone()), true);
    assert!(matches!(refused, Err(StorageError::Exists { .. })), "{refused:?}");
    assert_eq!(contents(&store), before);
}

#[test]
fn a_tensor_in_parts_is_refused() {
    let store = MemoryStore::new();
    let shape = Shape::new([4, 2]).expect("a shape");
    let regions = [0, 2].map(|row| HeldPart {
        region: Region::new([row, 0], [2, 2]).expect("a region"),
        place: BufferPlace::Box(vec![row, 0]),
    });
    let spec = TensorSpec::regions(DType::Float32, shape, regions).expect("a spec");
    let bytes = [1; 32];
    let tensor = LocalTensor::new(spec, View::from_bytes(DType::Float32, &[4, 2], &bytes).expect("a view"));
    let refused = save(&StateDict::new().with("weight", tensor), &in_order(store.clone()), false);
    assert!(matches!(&refused, Err(StorageError::Unsupported { what, .. }) if what.contains("weight")), "{refused:?}");
    assert!(contents(&store).is_empty());
    assert_eq!(block_on(store.unfinished()).expect("names"), []);
}

/// Whatever fails, and wherever the process stops: the file is there whole, or nothing is.
#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let weight = ndarray::Array2::from_elem((300, 300), 1.5_f32);
    let state = || {
        let weight = LocalTensor::whole(weight.view().into_dyn()).expect("a tensor");
        StateDict::new().with("step", 1).with("weight", weight)
    };
    let faulty = |store: &MemoryStore, faults: &Faults| in_order_with_faults(store, faults);
    let (whole, counting) = (MemoryStore::new(), Faults::none());
    save(&state(), &faulty(&whole, &counting), false).expect("saves");
    assert!(counting.count() > 4);
    for k in 0..counting.count() {
        for fault in [|| Fault::Io(io::ErrorKind::StorageFull), || Fault::Stop, || Fault::LoseResponse] {
            let (store, faults) = (MemoryStore::new(), Faults::none().at(k, fault()));
            let saved = save(&state(), &faulty(&store, &faults), false);
            assert_eq!(faults.pending(), 0);
            let is_there = contents(&store) == contents(&whole);
            assert!(is_there || contents(&store).is_empty(), "{k} {:?}", fault());
            assert!(is_there || saved.is_err(), "{k} {:?}", fault());
            if matches!(fault(), Fault::Io(_)) {
                assert_eq!(block_on(store.unfinished()).expect("names"), [], "{k}");
            }
        }
    }
}

fn in_order_with_faults(store: &MemoryStore, faults: &Faults) -> Place {
    file_in(CountingStore::new(FaultStore::new(store.clone(), faults.clone())))
}
