//! The thinnest true path: several ranks save on one mesh, others load on another, on disk.

use std::sync::Arc;

use dcp::{
    Checkpoint, Collective, DType, DeviceMesh, Loader, LocalTensor, Placement, Saver, StateDict, StateTarget,
    TargetLeaf, TargetTensor, TensorSpec, ThreadGroup, View, ViewMut,
};
use ndarray::{Array2, s};

fn full() -> Array2<f32> {
    Array2::from_shape_fn((37, 29), |(row, column)| (1000 * row + column) as f32)
}

/// The part of the tensor that a rank holds.
fn part(spec: &TensorSpec, rank: u32) -> Array2<f32> {
    let shape = spec.local_shape(rank).expect("in the mesh");
    let mut local = Array2::zeros((shape[0] as usize, shape[1] as usize));
    for held in spec.parts(rank) {
        let (o, e) = (held.region.offsets(), |dim| held.region.end(dim) as usize);
        local.assign(&full().slice(s![o[0] as usize..e(0), o[1] as usize..e(1)]));
    }
    local
}

#[test]
fn eight_ranks_save_and_six_load() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = dir.path().join("step-1");
    let mesh = Arc::new(DeviceMesh::new([4, 2]).expect("mesh"));
    let spec =
        TensorSpec::sharded(DType::Float32, [37, 29], &mesh, [Placement::Shard(0), Placement::Shard(1)]).expect("spec");
    let saved = ThreadGroup::run(8, |rank| {
        let local = part(&spec, rank.rank() as u32);
        let tensor = LocalTensor::new(spec.clone(), View::from_array(local.view().into_dyn()));
        let model = StateDict::new().with("weight", tensor);
        let state = StateDict::new().with("model", model).with("step", 17);
        Saver::new().group(&rank).save_dict(&state, &place)
    });
    for outcome in saved {
        let report = outcome.expect("no panic").expect("saves");
        assert_eq!(report.total().files, 8);
    }

    let mesh = Arc::new(DeviceMesh::new([2, 3]).expect("mesh"));
    let spec =
        TensorSpec::sharded(DType::Float32, [37, 29], &mesh, [Placement::Shard(1), Placement::Shard(0)]).expect("spec");
    let loaded = ThreadGroup::run(6, |rank| {
        let expected = part(&spec, rank.rank() as u32);
        let mut local = Array2::<f32>::zeros(expected.dim());
        let tensor = TargetTensor::new(spec.clone(), ViewMut::from_array(local.view_mut().into_dyn()));
        let target =
            StateTarget::new().with("model", StateTarget::new().with("weight", tensor)).with("step", TargetLeaf::Value);
        let (loaded, report) = Loader::new().group(&rank).load_into(target, &place).expect("loads");
        assert_eq!(local, expected);
        let step = loaded.get("step").cloned();
        assert!(matches!(step, Some(dcp::crates::dcp_types::Tree::Leaf(leaf)) if leaf.value() == Some(&17.into())));
        report
    });
    for report in loaded {
        let report = report.expect("no panic").total();
        assert!(report.needed <= report.read, "{report:?}");
    }

    let checkpoint = Checkpoint::open(&place).expect("opens");
    let weight = checkpoint.tensor("model.weight").expect("reads").to_array::<f32>().expect("dtype");
    assert_eq!(weight, full().into_dyn());
}
