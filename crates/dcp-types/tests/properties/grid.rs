//! Sharded tensors against a list of what every rank holds.

use std::collections::BTreeSet;

use dcp_types::{ChunkList, HeldRegion, Rank, Region, Shape, ShardGrid, strategies};
use proptest::prelude::*;
use proptest::sample::Index;

const WORLD: u32 = 64;

fn grids() -> impl Strategy<Value = ShardGrid> {
    strategies::shapes().prop_flat_map(|shape| strategies::shard_grids(&shape, WORLD))
}

fn grids_and_regions() -> impl Strategy<Value = (ShardGrid, Region)> {
    grids().prop_flat_map(|grid| {
        let regions = strategies::regions_in(grid.shape());
        (Just(grid), regions)
    })
}

fn replica_of(grid: &ShardGrid, rank: Rank) -> u64 {
    grid.replica_at(&grid.mesh().coordinate_of(rank).expect("in the mesh"))
}

/// What the ranks of one replica hold.
fn held_in(grid: &ShardGrid, replica: u64) -> Vec<(Rank, HeldRegion)> {
    let ranks = grid.mesh().ranks().filter(|&rank| replica_of(grid, rank) == replica);
    ranks.flat_map(|rank| grid.held_by(rank).into_iter().map(move |held| (rank, held))).collect()
}

fn chunks_of(grid: &ShardGrid) -> Vec<Region> {
    held_in(grid, 0).into_iter().map(|(_, held)| held.region).collect()
}

proptest! {
    #[test]
    fn the_ranks_of_each_replica_tile_the_tensor(grid in grids()) {
        let first: BTreeSet<Region> = chunks_of(&grid).into_iter().collect();
        for replica in 0..grid.replicas() {
            let held: Vec<Region> = held_in(&grid, replica).into_iter().map(|(_, held)| held.region).collect();
            prop_assert_eq!(&held.iter().cloned().collect::<BTreeSet<_>>(), &first);
            prop_assert!(held.iter().all(|region| !region.is_empty()));
            let tiles = ChunkList::new(grid.shape(), held);
            prop_assert!(tiles.is_ok(), "{:?}", tiles);
        }
    }

    #[test]
    fn ranks_that_differ_in_the_replica_alone_hold_the_same(grid in grids()) {
        for rank in grid.mesh().ranks() {
            let mut at = grid.mesh().coordinate_of(rank).expect("in the mesh");
            for (dim, placement) in grid.placements().iter().enumerate() {
                if placement.dim().is_none() {
                    at[dim] = 0;
                }
            }
            let twin = grid.mesh().rank_at(&at);
            prop_assert_eq!(replica_of(&grid, twin), 0);
            prop_assert_eq!(grid.held_by(rank), grid.held_by(twin));
            prop_assert_eq!(grid.local_shape(rank), grid.local_shape(twin));
        }
    }

    #[test]
    fn replicas_are_numbered_without_gaps(grid in grids()) {
        let mut counts = vec![0u64; grid.replicas() as usize];
        grid.mesh().ranks().for_each(|rank| counts[replica_of(&grid, rank) as usize] += 1);
        prop_assert!(counts.iter().all(|&count| count * grid.replicas() == grid.mesh().size()), "{:?}", counts);
    }

    #[test]
    fn the_parts_of_a_rank_fill_its_buffer(grid in grids()) {
        for rank in grid.mesh().ranks() {
            let extents = grid.local_shape(rank).expect("in the mesh");
            let held = grid.held_by(rank);
            let in_buffer = |held: &HeldRegion| {
                Region::new(held.buffer_offsets.iter().copied(), held.region.sizes().iter().copied()).expect("small")
            };
            let in_buffer: Vec<Region> = held.iter().map(in_buffer).collect();
            let buffer = Shape::new(extents.iter().copied()).expect("small");
            let tiles = ChunkList::new(&buffer, in_buffer.clone());
            prop_assert!(tiles.is_ok(), "{:?}", tiles);
            // In the buffer's order, and in that of the tensor.
            prop_assert!(in_buffer.is_sorted_by_key(|region| region.offsets().to_vec()));
            prop_assert!(held.is_sorted_by_key(|held| held.region.offsets().to_vec()));
            let at = grid.mesh().coordinate_of(rank).expect("in the mesh");
            let numel: u64 = held.iter().map(|held| held.region.numel()).sum();
            prop_assert_eq!(numel, grid.held_at(&at));
            prop_assert_eq!(numel, buffer.numel());
        }
    }

    #[test]
    fn holders_hold_what_they_are_said_to(grid in grids()) {
        for replica in 0..grid.replicas() {
            for (rank, held) in held_in(&grid, replica) {
                prop_assert_eq!(grid.holder(held.region.offsets(), replica), Some(rank));
                prop_assert_eq!(grid.holder(held.region.offsets(), grid.replicas()), None);
            }
        }
    }

    #[test]
    fn every_element_of_a_chunk_leads_to_it(grid in grids(), pick in any::<Index>(), inside in any::<Index>()) {
        let chunks = chunks_of(&grid);
        if !grid.shape().dims().is_empty() {
            prop_assert_eq!(grid.chunk_at(grid.shape().dims()), None);
        }
        if chunks.is_empty() {
            return Ok(());
        }
        let chunk = &chunks[pick.index(chunks.len())];
        let mut rest = inside.index(chunk.numel() as usize) as u64;
        let mut element = chunk.offsets().to_vec();
        for (dim, x) in element.iter_mut().enumerate() {
            *x += rest % chunk.sizes()[dim];
            rest /= chunk.sizes()[dim];
        }
        prop_assert_eq!(grid.chunk_at(&element), Some(chunk.clone()));
        prop_assert_eq!(grid.holder(&element, 0), grid.holder(chunk.offsets(), 0));
    }

    #[test]
    fn meeting_finds_the_chunks_that_a_search_finds((grid, region) in grids_and_regions()) {
        let mut expected: Vec<Region> =
            chunks_of(&grid).into_iter().filter(|chunk| chunk.intersect(&region).is_some()).collect();
        expected.sort();
        let found = grid.meeting(&region);
        prop_assert!(found.is_sorted_by_key(|region| region.offsets().to_vec()));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn chunks_and_parts_are_counted_without_listing_them(grid in grids()) {
        let chunks = chunks_of(&grid).len() as u64;
        for limit in [0, chunks.saturating_sub(1), chunks, chunks + 1, u64::MAX] {
            prop_assert_eq!(grid.has_more_chunks_than(limit), chunks > limit, "limit {}", limit);
        }
        let parts = grid.mesh().ranks().map(|rank| grid.held_by(rank).len() as u64).max();
        prop_assert!(parts <= Some(grid.most_parts_per_rank()), "{:?}", parts);
    }

    #[test]
    fn a_rank_that_is_not_in_the_mesh_holds_nothing(grid in grids()) {
        let inside: BTreeSet<Rank> = grid.mesh().ranks().collect();
        for rank in (0..WORLD + 1).filter(|rank| !inside.contains(rank)) {
            prop_assert_eq!(grid.held_by(rank), vec![]);
            prop_assert_eq!(grid.local_shape(rank), None);
        }
    }
}
