//! PyTorch's format with transforms.

use std::sync::Arc;

use dcp::{Auditor, Checkpoint, DcpFormat, Error, MemoryStore, Opener, Saver, StateDict, StorageError, Verdict};
use dcp_tests::{Coding, Place, Sealed, cases, codings};
use proptest::prelude::*;

use crate::round_trip::for_pytorch;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn save_and_load_is_the_identity(case in cases(8, false).prop_map(for_pytorch), coding in codings()) {
        let store: Place = Arc::new(MemoryStore::new());
        let format = coding.dcp().files_per_rank(case.options.files_per_rank);
        case.save_with(&store, |saver| saver.format(format.clone())).expect("saves");
        case.load_each(|_| Arc::clone(&store), |loader| loader.format(format.clone())).expect("loads");
        let audit = Auditor::new().opener(Opener::new().format(format)).audit(store).expect("can be looked at");
        prop_assert_eq!((audit.verdict(), &audit.defects), (Verdict::Sound, &vec![]));
    }
}

fn save(format: DcpFormat) -> Place {
    let store: Place = Arc::new(MemoryStore::new());
    let weight = ndarray::Array2::from_shape_fn((40, 50), |(row, column)| (row * column) as f32);
    let weight = dcp::LocalTensor::whole(weight.view().into_dyn()).expect("a tensor");
    let state = StateDict::new().with("weight", weight).with("step", 7);
    Saver::new().format(format).save_dict(&state, Arc::clone(&store)).expect("saves");
    store
}

fn storage<T>(outcome: Result<T, Error>) -> StorageError {
    match outcome.map(drop) {
        Err(Error::Storage(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_key_and_a_missing_transform_are_told_apart() {
    let store = save(DcpFormat::new().transform(Sealed::with(1)));
    let other = Opener::new().format(DcpFormat::new().transform(Sealed::with(2)));
    let checkpoint = other.open(Arc::clone(&store)).expect("opens");
    for (error, name) in [(storage(checkpoint.tensor("weight")), "weight"), (storage(checkpoint.value("step")), "step")]
    {
        let StorageError::Undecodable { fqn, path, transform, .. } = &error else { panic!("{error:?}") };
        assert_eq!((fqn.as_str(), path.as_str()), (name, "__0_0.distcp"));
        assert_eq!(transform, "stream.sealed@dcp-tests/1");
    }
    let checkpoint = Checkpoint::open(Arc::clone(&store)).expect("the index says what there is");
    for error in [storage(checkpoint.tensor("weight")), storage(checkpoint.value("step"))] {
        let StorageError::Unreadable { what, .. } = &error else { panic!("{error:?}") };
        assert!(what.contains("stream.sealed@dcp-tests/1"), "{what}");
    }
    // PyTorch's format has no checksums of what is encoded: nothing can be said of it.
    let audit = Auditor::new().audit(store).expect("can be looked at");
    assert_eq!(audit.defects.iter().map(|defect| defect.kind).collect::<Vec<_>>(), ["unreadable"; 2]);
}

#[test]
fn a_compressed_checkpoint_is_smaller_and_known_by_itself() {
    let size = |store: &Place| dcp_tests::contents(store).values().map(Vec::len).sum::<usize>();
    let (plain, compressed) = (save(DcpFormat::new()), save(Coding::Zstd.dcp()));
    assert!(size(&compressed) < size(&plain) / 2);
    let read = |store| Checkpoint::open(store).and_then(|found| found.tensor("weight")).expect("reads");
    assert!(read(plain).bytes() == read(compressed).bytes());
}
