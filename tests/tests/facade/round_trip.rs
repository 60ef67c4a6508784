//! What is saved on any mesh is loaded on any other.

use std::sync::Arc;

use dcp::crates::dcp_storage::StorePath;
use dcp::{DType, LocalStore, MemoryStore, Shape};
use dcp_s3::object_store::memory::InMemory;
use dcp_s3::{Bucket, KeyLayout, Traffic};
use dcp_tests::{Case, Place, TensorCase, Whole, cases, contents, group_pairs, holdings};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn save_and_load_is_the_identity(case in cases(64, false)) {
        let store: Place = Arc::new(MemoryStore::new());
        let saved = case.save(&store).expect("saves");
        prop_assert_eq!(saved.ranks.len(), case.save.members.len());
        let most = u64::from(case.options.files_per_rank);
        prop_assert!(saved.ranks.iter().all(|(_, report)| report.files <= most));
        let files = contents(&store).keys().filter(|name| name.ends_with(".distcp")).count();
        prop_assert_eq!(saved.total().files, files as u64);
        case.load(&store).expect("loads");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn so_it_is_on_disk(case in cases(8, false)) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store: Place = Arc::new(LocalStore::open(dir.path().join("deep/step")));
        case.save(&store).expect("saves");
        case.load(&store).expect("loads");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A bucket with little room, in either layout.
    #[test]
    fn so_it_is_in_a_bucket(case in cases(8, false), spread in any::<bool>()) {
        let layout = if spread { KeyLayout::Spread } else { KeyLayout::Flat };
        let traffic = Traffic::default().parts_in_flight(1).reads_in_flight(2).read_size(64 << 10).coalesce_gap(16);
        let bucket = Bucket::over(Arc::new(InMemory::new()), StorePath::parse("run/step").ok());
        let store: Place = Arc::new(bucket.traffic(traffic).layout(layout));
        case.save(&store).expect("saves");
        case.load(&store).expect("loads");
    }
}

/// Tensors of very different sizes: some larger than a checksum block, some than the buffers of reads and writes.
fn large() -> impl Strategy<Value = Case> {
    let sizes = prop_oneof![
        3 => Just(vec![7u64]),
        3 => Just(vec![130, 300]),
        2 => Just(vec![3, 211, 131]),
        1 => Just(vec![1031, 517]),
        1 => Just(vec![2, 700_001]),
    ];
    let dtype = prop_oneof![Just(DType::UInt8), Just(DType::BFloat16), Just(DType::Float32), Just(DType::Complex128)];
    (group_pairs(6), prop::collection::vec((sizes, dtype, any::<u64>()), 1..5)).prop_flat_map(
        |((save, load), tensors)| {
            let sides = |(sizes, dtype, seed): (Vec<u64>, DType, u64)| {
                // Few bytes to an element where there are many of them.
                let many = sizes.iter().product::<u64>() > 200_000;
                let dtype = if many && dtype == DType::Complex128 { DType::Float32 } else { dtype };
                let shape = Shape::new(sizes).expect("shape");
                (holdings(dtype, &shape, &save), holdings(dtype, &shape, &load)).prop_map(move |(saved, loaded)| {
                    TensorCase { whole: Whole::new(dtype, shape.clone(), seed), saved, loaded }
                })
            };
            let tensors: Vec<_> = tensors.into_iter().map(sides).collect();
            tensors.prop_map(move |tensors| Case::of_tensors(save.clone(), load.clone(), tensors))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn large_and_small_tensors_are_loaded_alike(case in large()) {
        let store: Place = Arc::new(MemoryStore::new());
        case.save(&store).expect("saves");
        case.load(&store).expect("loads");
    }
}
