//! A load reads what it needs, once, and says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use dcp::{
    BufferPlace, Checkpoint, DType, HeldPart, LoadReport, MemoryStore, ReadReport, Region, Shape, TensorSpec, Verify,
    ViewMut,
};
use dcp_tests::{
    Case, CountingStore, Group, Layout, Part, Place, Reads, TensorCase, Whole, groups, holdings, mesh_holdings,
    tensors_of,
};
use dcp_types::TensorEntry;
use dcp_types::strategies::regions_in;
use proptest::collection::vec;
use proptest::prelude::*;

/// From this length on a run is read by itself.
const EXACT: u64 = 4096;

/// Tensors of up to a MiB or so, some with rows that are longer than [`EXACT`] however they are cut.
fn shapes() -> impl Strategy<Value = (DType, Shape)> {
    let dims = prop_oneof![
        3 => (1..5u64, 1..5u64, 1..4u64).prop_map(|(a, b, c)| vec![a, b, c * 8192]),
        2 => (1..40u64, 100..3000u64).prop_map(|(a, b)| vec![a, b]),
        1 => (1..200_000u64).prop_map(|a| vec![a]),
    ];
    let dtype = prop_oneof![Just(DType::UInt8), Just(DType::Float16), Just(DType::Float32)];
    (dtype, dims.prop_map(|dims| Shape::new(dims).expect("shape")))
}

/// Saved over meshes. (Chunks that no straight cut separates are read in parts, as [`ViewMut::cut`](dcp::ViewMut) says.)
fn pair(save: Group, load: Group) -> impl Strategy<Value = Case> {
    let tensors = (shapes(), any::<u64>()).prop_flat_map({
        let (save, load) = (save.clone(), load.clone());
        move |((dtype, shape), seed)| {
            (mesh_holdings(dtype, &shape, &save), holdings(dtype, &shape, &load)).prop_map(move |(saved, loaded)| {
                TensorCase { whole: Whole::new(dtype, shape.clone(), seed), saved, loaded }
            })
        }
    });
    vec(tensors, 1..4).prop_map(move |tensors| Case::of_tensors(save.clone(), load.clone(), tensors))
}

/// Loads; what each rank has read from the store, and the report.
fn watched(case: &Case, store: &MemoryStore, verify: Verify) -> (Vec<Reads>, LoadReport) {
    let stores: Vec<_> = case.load.members.iter().map(|_| CountingStore::new(store.clone())).collect();
    let place = |position: usize| -> Place { Arc::new(stores[position].clone()) };
    let report = case.load_each(place, |loader| loader.verify(verify)).expect("loads");
    (stores.iter().map(CountingStore::reads).collect(), report)
}

fn is_data(read: &(String, u64, u64)) -> bool {
    read.0.ends_with(".distcp")
}

/// What was read is what the report says.
fn check_numbers(reads: &Reads, report: &ReadReport) {
    let bytes: u64 = reads.iter().map(|(_, _, length)| length).sum();
    assert_eq!(bytes, report.read + report.overhead);
    // Beside the data, one range of each file (its checksums), and one of the index.
    let files: std::collections::BTreeSet<_> =
        reads.iter().filter(|read| is_data(read)).map(|(name, ..)| name.clone()).collect();
    assert_eq!(reads.len() as u64, report.ranges + files.len() as u64 + 1);
}

/// No byte of a data file was read twice.
fn check_once(reads: &Reads) {
    let mut files: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for (name, offset, length) in reads.iter().filter(|read| is_data(read)) {
        files.entry(name).or_default().push((*offset, offset + length));
    }
    for (name, mut ranges) in files {
        ranges.sort_unstable();
        let twice = ranges.windows(2).find(|pair| pair[0].1 > pair[1].0);
        assert_eq!(twice, None, "{name}");
    }
}

/// What short runs may cost beyond what a part needs: 4 KiB a run, up to the next one or to another tensor's.
fn allowance(entry: &TensorEntry, part: &Region) -> u64 {
    let extra = |chunk: &Region, wanted: &Region| {
        let inner = (0..chunk.ndim()).rev().find(|&dim| wanted.sizes()[dim] != chunk.sizes()[dim]).unwrap_or(0);
        let run = wanted.sizes()[inner..].iter().product::<u64>() * entry.dtype.size();
        let runs = wanted.sizes()[..inner].iter().product::<u64>();
        if run >= EXACT { 0 } else { runs * EXACT }
    };
    let chunks = entry.chunks_meeting(part).into_iter();
    chunks.filter_map(|chunk| Some(extra(&chunk.region, &chunk.region.intersect(part)?))).sum()
}

fn pairs() -> impl Strategy<Value = Case> {
    (groups(6), groups(6)).prop_flat_map(|(save, load)| pair(save, load))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn long_runs_are_read_exactly_and_short_ones_nearly(case in pairs()) {
        let store = MemoryStore::new();
        let place: Place = Arc::new(store.clone());
        case.save(&place).expect("saves");
        let checkpoint = Checkpoint::open(place).expect("opens");
        let (reads, report) = watched(&case, &store, Verify::Covered);
        // A rank may read what lies between its own runs for others as well, who read less for it.
        let mut allowed = 0;
        for (position, (rank, numbers)) in report.ranks.iter().enumerate() {
            check_numbers(&reads[position], numbers);
            let (mut needed, mut extra) = (0, 0);
            for (number, (tensor, part)) in case.tensors(position, |tensor| &tensor.loaded).enumerate() {
                if part.omit {
                    continue;
                }
                let entry = checkpoint.metadata().tensor(&number.to_string()).expect("a tensor");
                for held in part.spec.parts(*rank) {
                    needed += held.region.numel() * tensor.whole.dtype.size();
                    extra += allowance(entry, &held.region);
                }
            }
            prop_assert_eq!(numbers.needed, needed);
            allowed += needed + extra;
            if extra == 0 {
                prop_assert_eq!(numbers.read, needed);
                check_once(&reads[position]);
            }
        }
        prop_assert!(report.total().read <= allowed, "{:?}, {} allowed", report.total(), allowed);
    }

    #[test]
    fn whole_tensors_are_verified_whole(
        case in groups(6).prop_flat_map(|save| pair(save, Group::whole(1))),
        layouts in vec(any::<Layout>(), 4),
    ) {
        let mut tensors: Vec<TensorCase> = tensors_of(&case.tree).into_iter().cloned().collect();
        for (tensor, layout) in tensors.iter_mut().zip(layouts) {
            tensor.loaded = vec![Part::whole(tensor.whole.dtype, &tensor.whole.shape, layout)];
        }
        let case = Case::of_tensors(case.save, case.load, tensors);
        let store = MemoryStore::new();
        let place: Place = Arc::new(store.clone());
        case.save(&place).expect("saves");
        for (verify, share) in [(Verify::None, 0), (Verify::Covered, 1), (Verify::All, 1)] {
            let (reads, report) = watched(&case, &store, verify);
            let total = report.total();
            prop_assert_eq!(total.verified, total.needed * share, "{:?}", verify);
            prop_assert_eq!(total.whole_chunks, total.needed);
            check_numbers(&reads[0], &total);
            if verify != Verify::All {
                let metadata = Checkpoint::open(Arc::new(store.clone()) as Place).expect("opens");
                let tensors = metadata.metadata().entries().filter_map(|(_, entry)| entry.as_tensor());
                let extra: u64 = tensors.map(|tensor| allowance(tensor, &Region::full(&tensor.shape))).sum();
                prop_assert!((total.needed..=total.needed + extra).contains(&total.read), "{:?}, {}", total, extra);
                if extra == 0 {
                    check_once(&reads[0]);
                }
            }
        }
    }

    #[test]
    fn any_slice_can_be_verified_whole(
        (case, regions) in groups(4).prop_flat_map(|save| pair(save, Group::whole(1))).prop_flat_map(|case| {
            let regions: Vec<_> = tensors_of(&case.tree).iter().map(|tensor| regions_in(&tensor.whole.shape)).collect();
            (Just(case), regions)
        }),
        transposed in any::<bool>(),
    ) {
        let store: Place = Arc::new(MemoryStore::new());
        case.save(&store).expect("saves");
        for (verify, all) in [(Verify::All, true), (Verify::None, false)] {
            let checkpoint = Checkpoint::open(Arc::clone(&store)).expect("opens").verify(verify);
            for (number, (tensor, region)) in tensors_of(&case.tree).into_iter().zip(&regions).enumerate() {
                let name = number.to_string();
                let mut memory = vec![0; (region.numel() * tensor.whole.dtype.size()) as usize];
                let sizes = region.sizes();
                let strides: Vec<u64> = (0..sizes.len())
                    .map(|dim| if transposed { &sizes[..dim] } else { &sizes[dim + 1..] }.iter().product())
                    .collect();
                let into = ViewMut::from_strided_bytes(tensor.whole.dtype, sizes, &strides, &mut memory).expect("memory");
                let report = checkpoint.read_into(&name, region, into).expect("reads");
                prop_assert_eq!(report.needed, memory.len() as u64);
                prop_assert_eq!(report.verified, if all { report.needed } else { 0 });
                if !transposed {
                    prop_assert!(memory == tensor.whole.slice(region), "{} of {}", region, name);
                }
            }
        }
    }
}

#[test]
fn a_slice_of_one_chunk_reads_a_sixty_fourth_of_it() {
    let shape = Shape::new([64, 64, 1024]).expect("shape");
    let held = Part::whole(DType::UInt8, &shape, Layout::Packed);
    // One row of 4 KiB out of each of 64.
    let region = Region::new([0, 8, 0], [64, 4, 1024]).expect("region");
    let place = BufferPlace::Box(vec![0, 0, 0]);
    let spec = TensorSpec::regions(DType::UInt8, &shape, [HeldPart { region, place }]).expect("spec");
    let wanted = Part { spec, extents: vec![64, 4, 1024], layout: Layout::Transposed, omit: false };
    let whole = Whole::new(DType::UInt8, shape, 1);
    let tensor = TensorCase { whole, saved: vec![held], loaded: vec![wanted] };
    let case = Case::of_tensors(Group::whole(1), Group::whole(1), vec![tensor]);
    let store = MemoryStore::new();
    let place: Place = Arc::new(store.clone());
    case.save(&place).expect("saves");
    let (reads, report) = watched(&case, &store, Verify::Covered);
    let total = report.total();
    assert_eq!((total.needed, total.read, total.whole_chunks), (64 * 4096, 64 * 4096, 64 * 65536));
    check_once(&reads[0]);
}
