//! States without memory, as many ranks have them, and what these ranks declare.

use std::sync::Arc;

use dcp_default_planner::DefaultSavePlanner;
use dcp_planner::{Declared, PlanContext, SavePlanner as _};
use dcp_types::{
    BufferPlace, DType, DataError, DataSource, DeviceMesh, FlatState, HeldPart, LocalTensor, Placement, Rank, Region,
    SavePlan, StateDict, TensorSpec, TypesError, flatten_state,
};

use crate::Failure;

/// What ranks on a mesh declare: the same tensors, and a value of each one's own.
pub(crate) fn by_mesh(ranks: u32, tensors: usize) -> Result<Vec<Declared>, Failure> {
    let first = local_plan(&specs_by_mesh(ranks, tensors)?, 0, ranks)?;
    declare(ranks, |rank| match rank {
        0 => Ok(first.clone()),
        _ => Ok(SavePlan { values: local_plan(&[], rank, ranks)?.values, ..first.clone() }),
    })
}

/// What ranks declare that have regions: one of each tensor, and a value of its own.
pub(crate) fn by_regions(ranks: u32, tensors: usize) -> Result<Vec<Declared>, Failure> {
    declare(ranks, |rank| {
        let specs: Result<Vec<_>, _> = (0..tensors).map(|number| spec_by_regions(number, rank, ranks)).collect();
        local_plan(&specs?, rank, ranks)
    })
}

/// Tensors on a (data, tensor) mesh: matrices by FSDP over tensor parallelism, vectors by data alone, a few replicated.
pub(crate) fn specs_by_mesh(ranks: u32, tensors: usize) -> Result<Vec<TensorSpec>, TypesError> {
    let mesh = Arc::new(DeviceMesh::new([ranks / 8, 8])?.with_names(["data", "tensor"])?);
    let spec = |number: usize| match number % 10 {
        0 => TensorSpec::sharded(DType::Float32, [4096], &mesh, [Placement::Replicate, Placement::Replicate]),
        1 | 2 => TensorSpec::sharded(DType::Float32, [8192], &mesh, [Placement::Shard(0), Placement::Replicate]),
        _ => {
            let strided = Placement::StridedShard { dim: 0, split_factor: 8 };
            TensorSpec::sharded(DType::BFloat16, [8192, 64], &mesh, [strided, Placement::Shard(0)])
        }
    };
    (0..tensors).map(spec).collect()
}

/// What a rank has: its parts of the tensors, a value that all have, and one of its own.
pub(crate) fn state(specs: &[TensorSpec], rank: Rank) -> Result<FlatState<'static>, TypesError> {
    let mut model = StateDict::new();
    for (number, spec) in specs.iter().enumerate() {
        model.insert(name(number), LocalTensor::lazy(spec.clone(), Unread::new(spec, rank)));
    }
    let loader = StateDict::new().with(format!("rank_{rank}"), i64::from(rank));
    let mut state = StateDict::new().with("step", 100).with("loader", loader);
    if !model.is_empty() {
        state.insert("model", model);
    }
    flatten_state(state)
}

/// The name of a tensor in the dict `model`.
pub(crate) fn name(number: usize) -> String {
    format!("layers.{number}.weight")
}

/// As a rank sees the others.
pub(crate) fn context(rank: Rank, ranks: u32) -> PlanContext {
    PlanContext { rank, ranks: (0..ranks).collect(), coordinator: 0 }
}

fn declare(ranks: u32, plan: impl Fn(Rank) -> Result<SavePlan, Failure>) -> Result<Vec<Declared>, Failure> {
    let declared = |rank| {
        let mut plan = plan(rank)?;
        if rank != 0 {
            // Known to the rank alone.
            plan.order.clear();
        }
        Ok(Declared { ranks: [rank].into_iter().collect(), plan })
    };
    (0..ranks).map(declared).collect()
}

fn local_plan(specs: &[TensorSpec], rank: Rank, ranks: u32) -> Result<SavePlan, Failure> {
    Ok(DefaultSavePlanner::new().local_plan(&state(specs, rank)?, &context(rank, ranks))?)
}

/// A matrix of which a rank has some rows, or, every other one, a cell of a grid of RANKS/16 x 16.
fn spec_by_regions(number: usize, rank: Rank, ranks: u32) -> Result<TensorSpec, TypesError> {
    const COLUMNS: u32 = 16;
    let (row, column, columns) =
        if number.is_multiple_of(2) { (rank, 0, 1) } else { (rank / COLUMNS, rank % COLUMNS, COLUMNS) };
    let (rows, width) = (ranks / columns, 64 / columns);
    let region = Region::new([row * 4, column * width].map(u64::from), [4, width].map(u64::from))?;
    let part = HeldPart { region, place: BufferPlace::Box(vec![0, 0]) };
    TensorSpec::regions(DType::Float32, [u64::from(rows) * 4, 64], [part])
}

/// A part of a tensor without memory: planning needs none.
struct Unread {
    dtype: DType,
    shape: Vec<u64>,
}

impl Unread {
    fn new(spec: &TensorSpec, rank: Rank) -> Self {
        let of_part = || spec.parts(rank).first().map(|part| part.region.sizes().to_vec());
        Self { dtype: spec.dtype(), shape: spec.local_shape(rank).or_else(of_part).unwrap_or_default() }
    }
}

impl DataSource for Unread {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn read_at(&self, _offset: u64, _out: &mut [u8]) -> Result<(), DataError> {
        Err("there is nothing to read".into())
    }
}
