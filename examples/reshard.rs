//! Eight ranks save a matrix that lies over a mesh of 4 x 2; six ranks load it on a mesh of 2 x 3, cut the other way.
//!
//! The ranks are threads here. In a cluster each is a process, and the group is another `Collective`.

use std::path::Path;
use std::sync::Arc;

use dcp::{
    Collective, DType, DeviceMesh, Error, LoadReport, Loader, Placement, SaveReport, Saver, StateDict, StateTarget,
    TensorSpec, ThreadGroup, TypesError, part, part_mut,
};
use ndarray::Array2;

const SHAPE: [u64; 2] = [1000, 600];

/// The element at a place of the whole matrix.
fn element(row: u64, column: u64) -> f32 {
    (row * SHAPE[1] + column) as f32
}

/// What a rank holds of the matrix. (Each rank of these meshes holds one box of it.)
fn local(spec: &TensorSpec, rank: &dyn Collective) -> Array2<f32> {
    let held = &spec.parts(rank.rank() as u32)[0].region;
    let (first, sizes) = (held.offsets(), held.sizes());
    Array2::from_shape_fn((sizes[0] as usize, sizes[1] as usize), |(row, column)| {
        element(first[0] + row as u64, first[1] + column as u64)
    })
}

fn save(rank: &dyn Collective, spec: &TensorSpec, place: &Path) -> Result<SaveReport, Error> {
    let weight = local(spec, rank);
    let state = StateDict::new().with("weight", part(spec, &weight));
    Saver::new().group(rank).save_dict(&state, place)
}

fn load(rank: &dyn Collective, spec: &TensorSpec, place: &Path) -> Result<LoadReport, Error> {
    let expected = local(spec, rank);
    let mut weight = Array2::<f32>::zeros(expected.dim());
    let target = StateTarget::new().with("weight", part_mut(spec, &mut weight));
    let (_, report) = Loader::new().group(rank).load_into(target, place)?;
    assert_eq!(weight, expected);
    Ok(report)
}

fn spec(mesh: [u32; 2], placements: [Placement; 2]) -> Result<TensorSpec, TypesError> {
    let mesh = Arc::new(DeviceMesh::new(mesh)?.with_names(["dp", "tp"])?);
    TensorSpec::sharded(DType::Float32, SHAPE, &mesh, placements)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let place = directory.path().join("step-1");

    let rows_then_columns = spec([4, 2], [Placement::Shard(0), Placement::Shard(1)])?;
    for (rank, outcome) in ThreadGroup::run(8, |rank| save(&rank, &rows_then_columns, &place)).into_iter().enumerate() {
        let report = outcome.expect("no rank panics")?;
        println!("rank {rank} wrote {} bytes", report.own.data);
    }

    let columns_then_rows = spec([2, 3], [Placement::Shard(1), Placement::Shard(0)])?;
    for (rank, outcome) in ThreadGroup::run(6, |rank| load(&rank, &columns_then_rows, &place)).into_iter().enumerate() {
        let own = outcome.expect("no rank panics")?.own;
        println!(
            "rank {rank} needed {} bytes and read {}; whole chunks have {}",
            own.needed, own.read, own.whole_chunks
        );
    }
    Ok(())
}
