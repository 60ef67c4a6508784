//! Onto other meshes, by byte ranges.

use std::path::Path;
use std::sync::Arc;

use dcp::crates::dcp_types::{StatePath, unflatten};
use dcp::{
    Checkpoint, DType, DefaultLoadPlanner, DeviceMesh, LoadReport, Loader, OwnedTensor, Placement, Region, Shape,
    TargetLeaf, TargetTensor, TensorSpec, ThreadGroup,
};

use crate::expected::{all, one};

/// A tensor of a checkpoint, whole.
struct Whole {
    path: StatePath,
    dtype: DType,
    shape: Shape,
    bytes: Vec<u8>,
}

fn wholes(at: &Path) -> Vec<Whole> {
    let checkpoint = Checkpoint::open(at).expect("opens");
    let mut wholes = Vec::new();
    for (fqn, entry) in checkpoint.metadata().entries() {
        if let Some(tensor) = entry.as_tensor() {
            let bytes = checkpoint.tensor(fqn.as_str()).expect("reads").bytes().to_vec();
            wholes.push(Whole { path: entry.path.clone(), dtype: tensor.dtype, shape: tensor.shape.clone(), bytes });
        }
    }
    wholes
}

/// The bytes of a region of a row-major tensor.
fn cut(whole: &Whole, region: &Region) -> Vec<u8> {
    let size = whole.dtype.size() as usize;
    let runs = region.runs(whole.shape.dims()).expect("inside");
    let length = runs.run_length() as usize * size;
    runs.flat_map(|start| &whole.bytes[start as usize * size..][..length]).copied().collect()
}

/// Loads every tensor onto a mesh, and compares each rank's part.
fn load_onto(at: &Path, mesh: &[u32], placements: impl Fn(&Whole) -> Vec<Placement> + Sync) -> LoadReport {
    let wholes = wholes(at);
    let mesh = Arc::new(DeviceMesh::new(mesh.iter().copied()).expect("mesh"));
    let size = mesh.shape().iter().product::<u32>() as usize;
    let reports = ThreadGroup::run(size, |rank| {
        let position = dcp::Collective::rank(&rank) as u32;
        let spec = |whole: &Whole| {
            TensorSpec::sharded(whole.dtype, whole.shape.clone(), &mesh, placements(whole)).expect("spec")
        };
        let specs: Vec<TensorSpec> = wholes.iter().map(spec).collect();
        let buffer = |spec: &TensorSpec| {
            let shape = Shape::new(spec.local_shape(position).expect("an extent")).expect("shape");
            OwnedTensor::zeros(spec.dtype(), shape)
        };
        let mut buffers: Vec<OwnedTensor> = specs.iter().map(buffer).collect();
        let leaves = wholes.iter().zip(&specs).zip(&mut buffers).map(|((whole, spec), buffer)| {
            let tensor = TargetTensor::new(spec.clone(), buffer.view_mut().expect("view"));
            (whole.path.clone(), TargetLeaf::Tensor(Box::new(tensor)))
        });
        let target = unflatten(leaves).expect("a tree");
        let loader = Loader::new().group(&rank).planner(DefaultLoadPlanner::new().partial());
        let (_, report) = loader.load_into(target, at).unwrap_or_else(|error| panic!("{}: {error}", at.display()));
        for ((whole, spec), buffer) in wholes.iter().zip(&specs).zip(&buffers) {
            let parts: Vec<u8> = spec.parts(position).iter().flat_map(|part| cut(whole, &part.region)).collect();
            assert_eq!(buffer.bytes(), parts, "{}: {} on {position}", at.display(), whole.path);
        }
        report
    });
    let mut reports: Vec<LoadReport> = reports.into_iter().map(|rank| rank.expect("no rank panics")).collect();
    reports.swap_remove(0)
}

/// Over one dimension, if the tensor has it.
fn shard(whole: &Whole, dim: u32) -> Placement {
    if whole.shape.dims().len() > dim as usize { Placement::Shard(dim) } else { Placement::Replicate }
}

#[test]
fn every_checkpoint_is_loaded_onto_other_meshes() {
    for fixture in all() {
        load_onto(&fixture.path, &[3], |whole| vec![shard(whole, 0)]);
        load_onto(&fixture.path, &[2, 2], |whole| vec![shard(whole, 1), shard(whole, 0)]);
    }
}

#[test]
fn a_stream_is_decoded_once_for_all_its_destinations() {
    for name in ["22_zstd", "22_zstd@2.7.1"] {
        let fixture = one(name);
        // On one rank every item is read once, whatever the tensor is cut into.
        let report = load_onto(&fixture.path, &[1], |_| vec![Placement::Replicate]).total();
        assert!(report.read <= report.whole_chunks, "{report:?}");
    }
}
