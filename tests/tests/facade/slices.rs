//! A checkpoint that is looked into holds what was saved.

use std::sync::Arc;

use dcp::{Checkpoint, MemoryStore, Region, ViewMut};
use dcp_tests::{Case, Place, assert_same_tree, cases, tensors_of};
use dcp_types::strategies::regions_in;
use proptest::prelude::*;

fn with_regions() -> impl Strategy<Value = (Case, Vec<[Region; 2]>)> {
    cases(8, true).prop_flat_map(|case| {
        let tensors = tensors_of(&case.tree);
        let regions = tensors.iter().map(|tensor| regions_in(&tensor.whole.shape));
        let regions: Vec<_> = regions.map(|regions| [regions.clone(), regions]).collect();
        (Just(case), regions)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_slice_is_the_slice_of_the_whole((case, regions) in with_regions()) {
        let store: Place = Arc::new(MemoryStore::new());
        case.save(&store).expect("saves");
        let checkpoint = Checkpoint::open(store).expect("opens");
        // Every rank names everything, so the entries stand in the order of the tree.
        let entries = checkpoint.metadata().entries().filter(|(_, entry)| entry.as_tensor().is_some());
        let names: Vec<_> = entries.map(|(fqn, _)| fqn.clone()).collect();
        let tensors = tensors_of(&case.tree);
        prop_assert_eq!(names.len(), tensors.len());
        for ((name, tensor), regions) in names.iter().zip(tensors).zip(regions) {
            let whole = &tensor.whole;
            for region in regions {
                let slice = checkpoint.slice(name.as_str(), &region).expect("reads");
                prop_assert_eq!((slice.dtype(), slice.shape().dims()), (whole.dtype, region.sizes()));
                prop_assert!(slice.bytes() == whole.slice(&region), "{} {}", name, region);
                // Into memory with its last dimension outermost.
                let mut memory = vec![0xee; slice.bytes().len()];
                let strides: Vec<u64> = (0..region.ndim()).map(|dim| region.sizes()[..dim].iter().product()).collect();
                let into = ViewMut::from_strided_bytes(whole.dtype, region.sizes(), &strides, &mut memory);
                let report = checkpoint.read_into(name.as_str(), &region, into.expect("memory")).expect("reads");
                prop_assert_eq!(report.needed, slice.bytes().len() as u64);
                let mut again = vec![0; memory.len()];
                let view = ViewMut::from_strided_bytes(whole.dtype, region.sizes(), &strides, &mut memory);
                row_major(view.expect("memory"), &mut again);
                prop_assert!(again == slice.bytes(), "{} {}", name, region);
            }
        }
    }

    #[test]
    fn the_whole_tree_comes_back(case in cases(8, true)) {
        let store: Place = Arc::new(MemoryStore::new());
        case.save(&store).expect("saves");
        let checkpoint = Checkpoint::open(store).expect("opens");
        assert_same_tree(&checkpoint.load().expect("loads"), &case.loaded());
        prop_assert_eq!(checkpoint.format(), "native");
        for (fqn, entry) in checkpoint.metadata().entries() {
            if entry.as_tensor().is_none() {
                checkpoint.value(fqn.as_str()).expect("a value");
            }
            prop_assert_eq!(&entry.path.fqn(), fqn);
        }
    }
}

/// Copies a tensor of any strides element by element.
fn row_major(view: ViewMut<'_>, out: &mut [u8]) {
    let size = view.dtype().size() as usize;
    let shape = view.shape();
    let mut index = vec![0; shape.len()];
    let mut view = view;
    for element in out.chunks_exact_mut(size) {
        let at = Region::new(index.iter().copied(), vec![1; shape.len()]).expect("an element");
        let mut one = view.reborrow().into_slice(&at).expect("inside");
        element.copy_from_slice(one.as_bytes_mut().expect("one element"));
        for dim in (0..shape.len()).rev() {
            index[dim] += 1;
            if index[dim] < shape[dim] {
                break;
            }
            index[dim] = 0;
        }
    }
}

#[test]
fn what_is_not_there_is_an_error_that_names_it() {
    let store = MemoryStore::new();
    let state = dcp::StateDict::new().with("step", 3);
    dcp::Saver::new().save_dict(&state, store.clone()).expect("saves");
    let checkpoint = Checkpoint::open(store).expect("opens");
    let missing = checkpoint.tensor("step").map(|tensor| tensor.bytes().len());
    assert!(matches!(missing, Err(dcp::Error::NoEntry { kind: "tensor", fqn, .. }) if fqn == "step"));
    assert!(matches!(checkpoint.value("stop"), Err(dcp::Error::NoEntry { kind: "value", fqn, .. }) if fqn == "stop"));
    let nowhere = Checkpoint::open(MemoryStore::new()).map(|found| found.format());
    assert!(matches!(nowhere, Err(dcp::Error::Storage(error)) if error.kind() == "no-checkpoint"));
}
