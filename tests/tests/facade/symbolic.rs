//! Plans that name no chunk, plans that name each, and planners of users: the same bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dcp::{
    BufferPlace, Checkpoint, DType, Dedup, DefaultLoadPlanner, DefaultSavePlanner, DeviceMesh, HeldPart, MemoryStore,
    Placement, Region, Shape, TensorSpec,
};
use dcp_tests::{Case, Group, Layout, Options, Part, Place, TensorCase, Whole, cases, contents, tensors_of};
use dcp_types::strategies::tilings;
use proptest::prelude::*;

use crate::planners::{Changing, Masked, expanded, spread, unchanged};

const RANKS: u32 = 64;

type Files = BTreeMap<String, Vec<u8>>;

fn shape(dims: &[u64]) -> Shape {
    Shape::new(dims.iter().copied()).expect("shape")
}

fn layout_of(rank: u32) -> Layout {
    [Layout::Packed, Layout::Padded, Layout::Transposed, Layout::Lazy][rank as usize % 4]
}

/// On every rank of a mesh.
fn over(mesh: &Arc<DeviceMesh>, dtype: DType, dims: &[u64], placements: &[Placement], ranks: u32) -> Vec<Part> {
    let part = |rank| Part::sharded(dtype, &shape(dims), mesh, placements, rank, layout_of(rank));
    (0..ranks).map(part).collect()
}

/// Rows in blocks, each of them on four ranks, in flat buffers.
fn rows(dims: [u64; 2]) -> Vec<Part> {
    let part = |rank: u32| {
        let block = u64::from(rank) % 16;
        let (from, to) = (dims[0] * block / 16, dims[0] * (block + 1) / 16);
        let region = Region::new([from, 0], [to - from, dims[1]]).expect("region");
        let extents = vec![region.numel() + 5];
        let parts = [HeldPart { region, place: BufferPlace::Flat(5) }];
        let spec = TensorSpec::regions(DType::Int16, dims, parts).expect("spec");
        Part { spec, extents, layout: Layout::Packed, omit: false }
    };
    (0..RANKS).map(part).collect()
}

/// A state with every kind of sharding on 64 ranks, to be loaded by 6.
fn large_case(dedup: Dedup, files_per_rank: u32) -> Case {
    use Placement::{Replicate, Shard, StridedShard};
    let world = Arc::new(DeviceMesh::new([4, 4, 4]).expect("mesh").with_names(["pp", "dp", "tp"]).expect("names"));
    let row = |rank| {
        let first = rank / 8 * 8;
        let mesh = Arc::new(DeviceMesh::of_ranks([2, 4], (first..first + 8).collect()).expect("mesh"));
        Part::sharded(DType::Float64, &shape(&[33, 7]), &mesh, &[Shard(1), Shard(0)], rank, layout_of(rank))
    };
    let strided = StridedShard { dim: 0, split_factor: 4 };
    let odd = StridedShard { dim: 0, split_factor: 3 };
    let spread_out = |dtype, dims: &[u64], placements: &[Placement]| over(&world, dtype, dims, placements, RANKS);
    let saved = vec![
        spread_out(DType::Float32, &[37, 29], &[Shard(0), Replicate, Shard(1)]),
        spread_out(DType::BFloat16, &[5, 3], &[Shard(0), Shard(0), Shard(0)]),
        spread_out(DType::UInt8, &[40, 24], &[strided, Shard(0), Replicate]),
        spread_out(DType::Int64, &[50], &[odd, Replicate, Shard(0)]),
        spread_out(DType::Float8E4M3Fn, &[9, 50], &[Replicate, odd, Shard(1)]),
        spread_out(DType::Float32, &[300, 300], &[Replicate, Shard(0), Replicate]),
        (0..RANKS).map(|rank| Part::whole(DType::Float32, &shape(&[130, 100]), layout_of(rank))).collect(),
        rows([161, 3]),
        (0..RANKS).map(row).collect(),
    ];
    let loaders = Arc::new(DeviceMesh::of_ranks([3, 2], vec![0, 1, 2, 3, 4, 5]).expect("mesh"));
    let tensors = saved.into_iter().zip(0..).map(|(saved, seed)| {
        let (dtype, shape) = (saved[0].spec.dtype(), saved[0].spec.shape().clone());
        let placements = if shape.dims().len() > 1 { [Shard(1), Shard(0)] } else { [Shard(0), Replicate] };
        let loaded = over(&loaders, dtype, shape.dims(), &placements, 6);
        TensorCase { whole: Whole::new(dtype, shape, seed), saved, loaded }
    });
    let mut case = Case::of_tensors(Group::whole(RANKS), Group::whole(6), tensors.collect());
    case.private = true;
    case.options = Options { dedup, files_per_rank, threads: 1 };
    case
}

/// Saves by a planner that changes the plan; the files but the index.
fn saved_by(
    case: &Case,
    change: fn(dcp_types::GlobalPlan) -> Result<dcp_types::GlobalPlan, dcp::PlanError>,
) -> (Place, Files) {
    let store: Place = Arc::new(MemoryStore::new());
    let seen = Arc::<Mutex<_>>::default();
    let planner =
        || Changing { inner: DefaultSavePlanner::new().dedup(case.options.dedup), change, seen: Arc::clone(&seen) };
    let report = case.save_with(&store, |saver| saver.planner(planner())).expect("saves");
    let mut files = contents(&*store);
    files.retain(|name, _| name.ends_with(".distcp"));
    assert_eq!(files.values().map(Vec::len).sum::<usize>() as u64, report.total().written);
    (store, files)
}

/// The bytes of tensors in all files together.
fn data(case: &Case) -> u64 {
    tensors_of(&case.tree).iter().map(|tensor| tensor.whole.bytes.len() as u64).sum()
}

#[test]
fn sixty_four_ranks_save_the_same_bytes_with_and_without_expansion() {
    for (dedup, files_per_rank) in [(Dedup::Balanced, 2), (Dedup::Lowest, 1)] {
        let case = large_case(dedup, files_per_rank);
        let (symbolic, files) = saved_by(&case, unchanged);
        let (listed, listed_files) = saved_by(&case, expanded);
        assert!(files == listed_files, "{:?}", files.keys());
        case.load(&symbolic).expect("loads");
        case.load(&listed).expect("loads");
    }
}

#[test]
fn single_chunks_can_be_moved_among_those_that_hold_them() {
    let case = large_case(Dedup::Lowest, 1);
    let (_, files) = saved_by(&case, unchanged);
    let (moved, moved_files) = saved_by(&case, spread);
    let sizes = |files: &Files| files.values().map(Vec::len).collect::<Vec<_>>();
    assert_ne!(sizes(&files), sizes(&moved_files));
    case.load(&moved).expect("loads");
    let checkpoint = Checkpoint::open(moved).expect("opens");
    let stored: u64 =
        checkpoint.metadata().entries().filter_map(|(_, entry)| entry.as_tensor()).map(|t| t.nbytes()).sum();
    assert_eq!(stored, data(&case));
}

#[test]
fn a_planner_can_change_what_is_stored() {
    let case = large_case(Dedup::Balanced, 1);
    let store: Place = Arc::new(MemoryStore::new());
    let mask = 0x5a;
    let planner = || Masked { mask, save: DefaultSavePlanner::new(), load: DefaultLoadPlanner::new() };
    case.save_with(&store, |saver| saver.planner(planner())).expect("saves");
    let checkpoint = Checkpoint::open(Arc::clone(&store)).expect("opens");
    for (name, tensor) in tensors_of(&case.tree).into_iter().enumerate() {
        let stored = checkpoint.tensor(&name.to_string()).expect("reads");
        assert!(stored.bytes().iter().zip(&tensor.whole.bytes).all(|(stored, held)| *stored == held ^ mask));
    }
    case.load_each(|_| Arc::clone(&store), |loader| loader.planner(planner())).expect("loads");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn expansion_changes_no_byte(case in cases(9, false)) {
        let (_, files) = saved_by(&case, unchanged);
        let (listed, listed_files) = saved_by(&case, expanded);
        prop_assert!(files == listed_files, "{:?}, {:?}", files.keys(), listed_files.keys());
        case.load(&listed).expect("loads");
    }

    #[test]
    fn pieces_of_any_form_are_masked_and_unmasked(case in cases(6, false)) {
        let store: Place = Arc::new(MemoryStore::new());
        let planner = || Masked { mask: 1, save: DefaultSavePlanner::new(), load: DefaultLoadPlanner::new() };
        case.save_with(&store, |saver| saver.planner(planner())).expect("saves");
        case.load_each(|_| Arc::clone(&store), |loader| loader.planner(planner())).expect("loads");
    }

    #[test]
    fn tilings_are_loaded_by_their_own_holders(tiling in tilings(&shape(&[6, 7, 3]), 5), seed in any::<u64>()) {
        let tiling = &tiling;
        let parts = |layout: Layout| (0..5).map(move |rank| {
            let (spec, len) = tiling.spec(rank, DType::UInt16);
            Part { spec, extents: vec![len], layout, omit: false }
        });
        let whole = Whole::new(DType::UInt16, tiling.shape.clone(), seed);
        let tensor = TensorCase { whole, saved: parts(Layout::Lazy).collect(), loaded: parts(Layout::Packed).collect() };
        let case = Case::of_tensors(Group::whole(5), Group::whole(5), vec![tensor]);
        let store: Place = Arc::new(MemoryStore::new());
        case.save(&store).expect("saves");
        case.load(&store).expect("loads");
    }
}
