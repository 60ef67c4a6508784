//! What is converted is what was saved.

use std::sync::Arc;

use dcp::{Converter, DType, DeviceMesh, MemoryStore, Placement, Shape};
use dcp_tests::{Case, Place, TensorCase, Whole, cases, group_pairs, holdings};
use dcp_types::strategies::{meshes, placements};
use proptest::prelude::*;

/// The choices of a conversion that change no content.
#[derive(Clone, Debug)]
struct Choices {
    jobs: usize,
    memory: u64,
    mesh: Option<DeviceMesh>,
    /// How tensors are to lie on the mesh, by name.
    rules: Vec<(String, Vec<Placement>)>,
}

fn choices() -> impl Strategy<Value = Choices> {
    let memory = prop_oneof![Just(0u64), Just(1 << 20), Just(Converter::MEMORY)];
    (1..5usize, memory, prop::option::of(meshes(12))).prop_map(|(jobs, memory, mesh)| Choices {
        jobs,
        memory,
        mesh,
        rules: Vec::new(),
    })
}

impl Choices {
    fn convert(&self, from: &Place, to: &Place) {
        let mut converter = Converter::new().jobs(self.jobs).memory(self.memory);
        if let Some(mesh) = &self.mesh {
            converter = converter.reshard(mesh.clone(), self.rules.clone()).expect("patterns");
        }
        converter.convert(Arc::clone(from), Arc::clone(to)).expect("converts");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn contents_stay(case in cases(16, false), first in choices(), second in choices()) {
        let places: [Place; 3] = std::array::from_fn(|_| Arc::new(MemoryStore::new()) as Place);
        case.save(&places[0]).expect("saves");
        first.convert(&places[0], &places[1]);
        case.load(&places[1]).expect("loads");
        second.convert(&places[1], &places[2]);
        case.load(&places[2]).expect("loads");
    }
}

/// Tensors that are longer than what is read at a time, and how they are to lie.
fn large() -> impl Strategy<Value = (Case, Choices)> {
    let sizes =
        prop_oneof![Just(vec![130u64, 300]), Just(vec![3, 211, 131]), Just(vec![1031, 517]), Just(vec![9, 70_001])];
    let dtype = prop_oneof![Just(DType::UInt8), Just(DType::BFloat16), Just(DType::Float32)];
    (group_pairs(6), prop::collection::vec((sizes, dtype, any::<u64>()), 1..4), choices()).prop_flat_map(
        |((save, load), tensors, choices)| {
            let mesh = choices.mesh.clone();
            let sides = |(sizes, dtype, seed): (Vec<u64>, DType, u64)| {
                let shape = Shape::new(sizes).expect("shape");
                let rule = mesh.as_ref().map_or(Just(Vec::new()).boxed(), |mesh| placements(&shape, mesh));
                (holdings(dtype, &shape, &save), holdings(dtype, &shape, &load), rule).prop_map(
                    move |(saved, loaded, rule)| {
                        (TensorCase { whole: Whole::new(dtype, shape.clone(), seed), saved, loaded }, rule)
                    },
                )
            };
            let tensors: Vec<_> = tensors.into_iter().map(sides).collect();
            tensors.prop_map(move |tensors| {
                let (tensors, rules): (Vec<_>, Vec<_>) = tensors.into_iter().unzip();
                let rules = rules.into_iter().enumerate().map(|(name, rule)| (name.to_string(), rule)).collect();
                let case = Case::of_tensors(save.clone(), load.clone(), tensors);
                (case, Choices { rules, ..choices.clone() })
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn so_do_those_of_large_tensors((case, choices) in large()) {
        let (from, to): (Place, Place) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
        case.save(&from).expect("saves");
        choices.convert(&from, &to);
        case.load(&to).expect("loads");
    }
}
