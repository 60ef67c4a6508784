//! Plans: their wire form, and what it means that they are symbolic.

use std::collections::BTreeSet;

use dcp_types::{
    Chunk, ChunkList, Chunks, CommonPlan, EntryKind, GlobalPlan, OwnChunks, Rank, Region, TypesError, WriteWhat,
    strategies,
};
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
    fn what_is_sent_to_a_rank_is_its_plan(plan in strategies::global_plans(WORLD)) {
        for plan in [plan.expand().expect("tiles"), plan] {
            let common = rmp_serde::to_vec(&plan.common()).expect("encodes");
            for rank in 0..WORLD + 1 {
                let own = rmp_serde::to_vec(&plan.own_chunks(rank)).expect("encodes");
                let common: CommonPlan = rmp_serde::from_slice(&common).expect("decodes");
                let own: OwnChunks = rmp_serde::from_slice(&own).expect("decodes");
                prop_assert!(plan.lists_chunks() || own == OwnChunks::default());
                let received = common.for_rank(rank, own).expect("fits");
                prop_assert_eq!(&received, &plan.of_rank(rank));
                prop_assert_eq!((received.rank(), received.items()), (rank, &plan.items_of(rank)[..]));
            }
        }
    }

    #[test]
    fn chunks_of_another_plan_are_refused(plan in strategies::global_plans(WORLD), rank in 0..WORLD) {
        let common = || rmp_serde::to_vec(&plan.common()).expect("encodes");
        let common = || rmp_serde::from_slice::<CommonPlan>(&common()).expect("decodes");
        let entries = plan.metadata().len();
        let chunk = |entry: usize, extents: Vec<u64>| {
            let region = Region::new(vec![0; extents.len()], extents).expect("a region");
            rmp_serde::from_slice(&rmp_serde::to_vec(&[(entry as u32, 0u32, region)]).expect("encodes")).expect("decodes")
        };
        let beyond = common().for_rank(rank, chunk(entries, vec![1]));
        prop_assert!(matches!(beyond, Err(TypesError::Owners(_))), "{:?}", beyond);
        for (number, (_, entry)) in plan.metadata().entries().enumerate() {
            let dims = entry.as_tensor().map_or(Vec::new(), |tensor| tensor.shape.dims().to_vec());
            let is_listed = entry.as_tensor().is_some_and(|tensor| matches!(tensor.chunks, Chunks::List(_)));
            let refused = common().for_rank(rank, chunk(number, dims.iter().map(|extent| extent + 1).chain([1]).collect()));
            let is_right = match refused {
                Err(TypesError::OutOfBounds { .. }) => is_listed,
                Err(TypesError::Owners(_)) => !is_listed,
                _ => false,
            };
            prop_assert!(is_right);
        }
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
