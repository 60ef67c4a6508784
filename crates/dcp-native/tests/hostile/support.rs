//! A small checkpoint, and stores made of bytes.

use dcp::crates::dcp_storage::{Io, Precondition, ReadRange, Store, StorePath};
use dcp::{Checkpoint, Error, LocalTensor, MemoryStore, NativeFormat, Saver, StateDict, StorageError};

use crate::allocator::modestly;

/// Names and contents.
pub(crate) type Objects = Vec<(String, Vec<u8>)>;

pub(crate) const INDEX: &str = "index.dcp";
pub(crate) const DATA: &str = "__0_0.distcp";

/// An index and a data file with two tensors (of 48 and 5 bytes) and a value.
pub(crate) fn small() -> Objects {
    small_in(NativeFormat::new())
}

/// The same in some format.
pub(crate) fn small_in(format: NativeFormat) -> Objects {
    let matrix = ndarray::Array2::from_shape_fn((4, 3), |(row, column)| (row * 3 + column) as f32);
    let bytes = ndarray::arr1(&[1u8, 2, 3, 4, 5]);
    let state = StateDict::new()
        .with("matrix", LocalTensor::whole(matrix.view().into_dyn()).expect("tensor"))
        .with("bytes", LocalTensor::whole(bytes.view().into_dyn()).expect("tensor"))
        .with("step", 17);
    let store = MemoryStore::new();
    Saver::new().format(format).save_dict(&state, store.clone()).expect("saves");
    [INDEX, DATA].map(|name| (name.to_owned(), read(&store, name))).into()
}

pub(crate) fn get<'a>(objects: &'a Objects, name: &str) -> &'a [u8] {
    objects.iter().find(|(found, _)| found == name).map(|(_, content)| content.as_slice()).expect(name)
}

/// The same objects, one of them changed.
pub(crate) fn with(objects: &Objects, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Objects {
    let mut changed = objects.clone();
    change(&mut changed.iter_mut().find(|(found, _)| found == name).expect(name).1);
    changed
}

pub(crate) fn store(objects: &Objects) -> MemoryStore {
    let (store, io) = (MemoryStore::new(), Io::new().expect("threads"));
    for (name, content) in objects {
        let path = StorePath::parse(name).expect("name");
        io.block_on(store.publish(&path, content, Precondition::None)).expect("memory");
    }
    store
}

/// What opening and reading everything comes to, within the bounds of memory.
pub(crate) fn load(objects: &Objects) -> Result<(), Error> {
    let (store, size) = (store(objects), objects.iter().map(|(_, content)| content.len()).sum());
    modestly(size, || Checkpoint::open(store)?.load().map(drop))
}

/// The same, which must be an error of the storage.
pub(crate) fn refused(objects: &Objects) -> StorageError {
    match load(objects) {
        Err(Error::Storage(error)) => *error,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn corrupt_at(error: &StorageError, name: &str) -> bool {
    matches!(error, StorageError::Corrupt { path, .. } if path.as_str() == name)
}

fn read(store: &MemoryStore, name: &str) -> Vec<u8> {
    let (path, io) = (StorePath::parse(name).expect("name"), Io::new().expect("threads"));
    let mut content = vec![0; io.block_on(store.head(&path)).expect("there").size as usize];
    io.block_on(store.read(&path, &mut [ReadRange { offset: 0, buffer: &mut content }])).expect("reads");
    content
}
