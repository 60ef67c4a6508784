//! What ranks write of a tensor is all of it, once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use dcp::{Checkpoint, DefaultSavePlanner, MemoryStore, Region};
use dcp_tests::{Case, Place, cases, tensors_of};
use dcp_types::{GlobalPlan, RankPlan, Shape, WriteWhat};
use proptest::prelude::*;

use crate::planners::{Changing, expanded, spread, unchanged};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn saved_regions_tile_each_tensor(
        case in cases(12, true),
        change in prop::sample::select(vec![unchanged as fn(_) -> _, expanded, spread]),
    ) {
        let store: Place = Arc::new(MemoryStore::new());
        let seen = Arc::<Mutex<_>>::default();
        let planner = || Changing { inner: DefaultSavePlanner::new().dedup(case.options.dedup), change, seen: Arc::clone(&seen) };
        case.save_with(&store, |saver| saver.planner(planner())).expect("saves");
        let seen = seen.lock().expect("not poisoned");
        let [plan] = &seen.made[..] else { panic!("planned {} times", seen.made.len()) };
        let ranks: BTreeSet<_> = seen.own.iter().map(RankPlan::rank).collect();
        prop_assert_eq!((seen.own.len(), ranks), (case.save.members.len(), case.save.members.iter().copied().collect()));
        for own in &seen.own {
            prop_assert_eq!(own, &plan.of_rank(own.rank()));
        }
        check_plan(&case, plan);
        check_metadata(&Checkpoint::open(Arc::clone(&store)).expect("opens"));
        case.load(&store).expect("loads");
    }
}

/// Every element of every tensor is written by one rank, and that rank has it; every value is written once.
fn check_plan(case: &Case, plan: &GlobalPlan) {
    let entries = plan.metadata();
    let mut written: Vec<Vec<Region>> = vec![Vec::new(); entries.len()];
    let mut values = vec![0; entries.len()];
    let tensors: Vec<usize> =
        entries.entries().enumerate().filter(|(_, (_, entry))| entry.as_tensor().is_some()).map(|(n, _)| n).collect();
    for rank in 0..case.save.world {
        let position = case.save.members.iter().position(|&member| member == rank);
        let items = plan.items_of(rank);
        assert!(items.is_empty() || position.is_some(), "rank {rank} does not take part");
        for item in items {
            let WriteWhat::Chunk(chunk, bytes) = item.what else {
                values[item.entry] += 1;
                continue;
            };
            let number = tensors.iter().position(|&entry| entry == item.entry).expect("a tensor");
            let tensor = tensors_of(&case.tree)[number];
            let part = &tensor.saved[position.expect("takes part")];
            assert!(part.spec.parts(rank).iter().any(|held| held.region == chunk.region), "rank {rank}: {chunk:?}");
            assert_eq!(bytes, chunk.region.numel() * tensor.whole.dtype.size());
            assert_eq!(plan.owner(item.entry, &chunk), Some(rank));
            written[item.entry].push(chunk.region);
        }
    }
    for (number, (_, entry)) in entries.entries().enumerate() {
        match entry.as_tensor() {
            Some(tensor) => assert_tiled(&tensor.shape, &written[number]),
            None => assert_eq!(values[number], 1),
        }
    }
}

fn check_metadata(checkpoint: &Checkpoint) {
    for (_, entry) in checkpoint.metadata().entries() {
        if let Some(tensor) = entry.as_tensor() {
            let chunks = tensor.chunks_meeting(&Region::full(&tensor.shape));
            assert_tiled(&tensor.shape, &chunks.into_iter().map(|chunk| chunk.region).collect::<Vec<_>>());
        }
    }
}

/// Counts how often each element is covered.
fn assert_tiled(shape: &Shape, regions: &[Region]) {
    let strides: Vec<u64> =
        (0..shape.dims().len()).map(|dim| shape.dims()[dim + 1..].iter().product::<u64>()).collect();
    let mut covered = vec![0u8; shape.numel() as usize];
    for region in regions {
        assert!(region.fits(shape.dims()) && !region.is_empty(), "{region} of {shape:?}");
        for element in 0..region.numel() {
            let (mut rest, mut at) = (element, 0);
            for dim in (0..region.ndim()).rev() {
                at += (region.offsets()[dim] + rest % region.sizes()[dim]) * strides[dim];
                rest /= region.sizes()[dim];
            }
            covered[at as usize] += 1;
        }
    }
    assert!(covered.iter().all(|&times| times == 1), "{shape:?} by {regions:?}");
}
