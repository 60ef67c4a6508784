//! Checkpoints to convert, and looking at what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dcp::crates::dcp_storage::{Io, ReadRange};
use dcp::{Checkpoint, LocalTensor, MemoryStore, Saver, StateDict, Store};
use ndarray::{Array2, ArrayD};

pub(crate) type Place = Arc<dyn Store>;

/// A tensor of so many rows and columns that starts with this number.
pub(crate) fn counting(rows: usize, columns: usize, first: f32) -> ArrayD<f32> {
    Array2::from_shape_fn((rows, columns), |(row, column)| first + (row * columns + column) as f32).into_dyn()
}

/// Saves tensors by name, and a value.
pub(crate) fn save(tensors: &[(&str, ArrayD<f32>)], place: &Place) {
    let mut model = StateDict::new();
    for (name, tensor) in tensors {
        model.insert(*name, LocalTensor::whole(tensor.view()).expect("a tensor"));
    }
    let state = StateDict::new().with("model", model).with("step", 7);
    Saver::new().save_dict(&state, Arc::clone(place)).expect("saves");
}

/// A small one: some tensors, one of which is longer than what is read at a time.
pub(crate) fn small() -> Place {
    let place: Place = Arc::new(MemoryStore::new());
    save(&[("a", counting(30, 4, 0.0)), ("b", counting(3, 5, 1e3)), ("long", counting(600, 1000, 0.5))], &place);
    place
}

/// Everything in a store, by name.
pub(crate) fn contents(store: &dyn Store) -> BTreeMap<String, Vec<u8>> {
    let io = Io::new().expect("threads");
    let mut contents = BTreeMap::new();
    for object in io.block_on(store.list(None)).expect("lists") {
        let mut buffer = vec![0; object.size as usize];
        io.block_on(store.read(&object.path, &mut [ReadRange { offset: 0, buffer: &mut buffer }])).expect("reads");
        contents.insert(object.path.to_string(), buffer);
    }
    contents
}

/// Compares everything that two checkpoints hold.
pub(crate) fn assert_same(one: &Place, other: &Place) {
    let [one, other] = [one, other].map(|place| Checkpoint::open(Arc::clone(place)).expect("opens"));
    let names = |of: &Checkpoint| of.metadata().entries().map(|(fqn, _)| fqn.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    for fqn in names(&one) {
        if one.metadata().tensor(&fqn).is_none() {
            assert_eq!(one.value(&fqn).expect("a value"), other.value(&fqn).expect("a value"), "{fqn}");
        } else {
            let [left, right] = [&one, &other].map(|of| of.tensor(&fqn).expect("a tensor"));
            assert_eq!(left.dtype(), right.dtype(), "{fqn}");
            assert!(left.bytes() == right.bytes(), "{fqn} differs");
        }
    }
}
