//! Plans: their wire form, and what it means that they are symbolic.

use std::collections::BTreeSet;

use dcp_types::{Chunk, ChunkList, EntryKind, GlobalPlan, Rank, Region, WriteWhat, strategies};
use proptest::prelude::*;

const WORLD: u32 = 16;

/// What a rank writes: the entry, the region (none for a value), the bytes.
fn written(plan: &GlobalPlan, rank: Rank) -> BTreeSet<(usize, Option<Region>, u64)> {
    let items = plan.items_of(rank);
    let set: BTreeSet<_> = items
        .iter()
        .map(|item| match &item.what {
            WriteWhat::Chunk(chunk, bytes) => (item.entry, Some(chunk.region.clone()), *bytes),
            WriteWhat::Value => (item.entry, None, 0),
        })
        .collect();
    assert_eq!(set.len(), items.len(), "an item twice");
    set
}

proptest! {
    #[test]
    fn plans_come_back(plan in strategies::global_plans(WORLD)) {
        let encoded = rmp_serde::to_vec(&plan).expect("encodes");
        let decoded: GlobalPlan = rmp_serde::from_slice(&encoded).expect("decodes");
        prop_assert_eq!(&decoded, &plan);
        prop_assert_eq!(rmp_serde::to_vec(&decoded).expect("encodes"), encoded);
    }

    #[test]
    fn an_expanded_plan_writes_the_same(plan in strategies::global_plans(WORLD)) {
        let expanded = plan.expand().expect("tiles");
        prop_assert_eq!(expanded.metadata().len(), plan.metadata().len());
        for rank in 0..WORLD + 1 {
            prop_assert_eq!(written(&expanded, rank), written(&plan, rank));
        }
        prop_assert_eq!(&expanded.expand().expect("tiles"), &expanded);
    }

    #[test]
    fn everything_is_written_once(plan in strategies::global_plans(WORLD)) {
        let all: Vec<_> = (0..WORLD).flat_map(|rank| written(&plan, rank)).collect();
        for (number, (_, entry)) in plan.metadata().entries().enumerate() {
            let of_entry: Vec<_> = all.iter().filter(|(entry, ..)| *entry == number).collect();
            match &entry.kind {
                EntryKind::Tensor(tensor) => {
                    let regions = of_entry.iter().filter_map(|(_, region, _)| region.clone()).collect();
                    let tiles = ChunkList::new(&tensor.shape, regions);
                    prop_assert!(tiles.is_ok(), "{:?}", tiles);
                    prop_assert_eq!(of_entry.iter().map(|(.., bytes)| bytes).sum::<u64>(), tensor.nbytes());
                }
                _ => prop_assert_eq!(of_entry.len(), 1),
            }
        }
    }

    #[test]
    fn the_owner_of_an_item_writes_it(plan in strategies::global_plans(WORLD)) {
        for plan in [plan.expand().expect("tiles"), plan] {
            for rank in 0..WORLD {
                let items = plan.items_of(rank);
                // Tensors by entry, then values.
                let order = |item: &dcp_types::WriteItem| (item.what == WriteWhat::Value, item.entry);
                prop_assert!(items.is_sorted_by_key(order));
                for item in items {
                    let chunk = match item.what {
                        WriteWhat::Chunk(chunk, _) => chunk,
                        WriteWhat::Value => Chunk { region: Region::new([], []).expect("scalar"), number: 0 },
                    };
                    prop_assert_eq!(plan.owner(item.entry, &chunk), Some(rank));
                }
            }
        }
    }

    #[test]
    fn the_chunks_that_are_found_are_those_that_are_written(plan in strategies::global_plans(WORLD)) {
        for (number, (_, entry)) in plan.metadata().entries().enumerate() {
            let Some(tensor) = entry.as_tensor() else { continue };
            for chunk in tensor.chunks_meeting(&Region::full(&tensor.shape)) {
                let owner = plan.owner(number, &chunk).expect("owned");
                let bytes = chunk.region.numel() * tensor.dtype.size();
                let item = dcp_types::WriteItem { entry: number, what: WriteWhat::Chunk(chunk, bytes) };
                prop_assert!(plan.items_of(owner).contains(&item), "{:?}", item);
            }
        }
    }
}
