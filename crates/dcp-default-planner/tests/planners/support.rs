//! Ranks without processes: their states, and what a save does between the planner's steps.

use std::collections::HashMap;
use std::sync::Arc;

use dcp_default_planner::DefaultSavePlanner;
use dcp_planner::{Declared, PlanContext, PlanError, SavePlanner};
use dcp_types::{
    BufferPlace, DType, DeviceMesh, FlatState, GlobalPlan, LocalTensor, Placement, Rank, RankSet, Region, SavePlan,
    StateDict, TensorSpec, Value, View, WriteItem, WriteWhat, flatten_state,
};
use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, Axis};

pub(crate) fn region(offsets: &[u64], sizes: &[u64]) -> Region {
    Region::new(offsets.iter().copied(), sizes.iter().copied()).expect("region")
}

pub(crate) fn ctx(rank: Rank, ranks: &RankSet) -> PlanContext {
    PlanContext { rank, ranks: ranks.clone(), coordinator: ranks.first().expect("a rank") }
}

/// What one rank saves: names and what they stand for.
pub(crate) type Named = Vec<(&'static str, What)>;

#[derive(Clone)]
pub(crate) enum What {
    Tensor(TensorSpec),
    Value(Value),
}

pub(crate) fn value(value: impl Into<Value>) -> What {
    What::Value(value.into())
}

pub(crate) fn replicated(shape: &[u64]) -> What {
    What::Tensor(TensorSpec::replicated(DType::UInt32, shape).expect("spec"))
}

pub(crate) fn sharded(shape: &[u64], mesh: &Arc<DeviceMesh>, placements: &[Placement]) -> What {
    What::Tensor(TensorSpec::sharded(DType::UInt32, shape, mesh, placements.iter().copied()).expect("spec"))
}

/// Regions that lie flat, one after the other, in the rank's buffer.
pub(crate) fn regions(shape: &[u64], regions: &[Region]) -> What {
    let mut start = 0;
    let parts = regions.iter().map(|region| {
        let place = BufferPlace::Flat(start);
        start += region.numel();
        dcp_types::HeldPart { region: region.clone(), place }
    });
    What::Tensor(TensorSpec::regions(DType::UInt32, shape, parts).expect("spec"))
}

/// A tensor of which each element is its own number.
pub(crate) fn numbered(shape: &[u64]) -> ArrayD<u32> {
    let shape: Vec<usize> = shape.iter().map(|&extent| extent as usize).collect();
    let numbers = (0..shape.iter().product::<usize>() as u32).collect();
    ArrayD::from_shape_vec(shape, numbers).expect("shape")
}

pub(crate) fn slice<'a>(tensor: &'a ArrayD<u32>, region: &Region) -> ArrayViewD<'a, u32> {
    let mut part = tensor.view();
    for dim in 0..region.ndim() {
        part.slice_axis_inplace(Axis(dim), (region.offsets()[dim] as usize..region.end(dim) as usize).into());
    }
    part
}

pub(crate) fn slice_mut<'a>(tensor: &'a mut ArrayD<u32>, region: &Region) -> ArrayViewMutD<'a, u32> {
    let mut part = tensor.view_mut();
    for dim in 0..region.ndim() {
        part.slice_axis_inplace(Axis(dim), (region.offsets()[dim] as usize..region.end(dim) as usize).into());
    }
    part
}

/// The buffer of a rank, with its parts of the numbered tensor in it.
pub(crate) fn local_buffer(spec: &TensorSpec, rank: Rank) -> ArrayD<u32> {
    let whole = numbered(spec.shape().dims());
    let parts = spec.parts(rank);
    let flat = || vec![parts.iter().map(|part| part.region.numel()).sum()];
    let mut buffer = numbered(&spec.local_shape(rank).unwrap_or_else(flat));
    for part in &parts {
        let source = slice(&whole, &part.region);
        match &part.place {
            BufferPlace::Box(offsets) => slice_mut(&mut buffer, &region(offsets, part.region.sizes())).assign(&source),
            BufferPlace::Flat(start) => {
                let place = region(&[*start], &[part.region.numel()]);
                slice_mut(&mut buffer, &place).iter_mut().zip(source).for_each(|(to, from)| *to = *from);
            }
        }
    }
    buffer
}

/// All buffers of a rank, in the order of its names; empty ones for values.
pub(crate) fn buffers(named: &Named, rank: Rank) -> Vec<ArrayD<u32>> {
    let buffer = |(_, what): &(_, What)| match what {
        What::Tensor(spec) => local_buffer(spec, rank),
        What::Value(_) => numbered(&[0]),
    };
    named.iter().map(buffer).collect()
}

pub(crate) fn state<'a>(named: &Named, buffers: &'a [ArrayD<u32>]) -> FlatState<'a> {
    let mut state = StateDict::new();
    for ((name, what), buffer) in named.iter().zip(buffers) {
        match what {
            What::Tensor(spec) => {
                state.insert(*name, LocalTensor::new(spec.clone(), View::from_array(buffer.view())));
            }
            What::Value(value) => state.insert(*name, value.clone()),
        }
    }
    flatten_state(state).expect("flattens")
}

pub(crate) fn local_plan(named: &Named, ctx: &PlanContext) -> SavePlan {
    let buffers = buffers(named, ctx.rank);
    DefaultSavePlanner::new().local_plan(&state(named, &buffers), ctx).expect("local plan")
}

/// What arrives at the coordinator: equal plans once, and no order but its own.
pub(crate) fn gather(plans: impl IntoIterator<Item = (Rank, SavePlan)>, coordinator: Rank) -> Vec<Declared> {
    let mut groups: HashMap<_, (Vec<Rank>, SavePlan)> = HashMap::new();
    for (rank, mut plan) in plans {
        if rank != coordinator {
            plan.order.clear();
        }
        let digests = (plan.meshes.digest(), plan.tensors.digest(), plan.regions.digest(), plan.values.digest());
        let (ranks, known) = groups.entry(digests).or_insert_with(|| (Vec::new(), plan.clone()));
        ranks.push(rank);
        if rank == coordinator {
            known.order = plan.order;
        }
    }
    groups.into_values().map(|(ranks, plan)| Declared { ranks: ranks.into_iter().collect(), plan }).collect()
}

/// The global plan for the states of some ranks.
pub(crate) fn plan(planner: &DefaultSavePlanner, states: &[(Rank, Named)]) -> Result<GlobalPlan, PlanError> {
    let ranks: RankSet = states.iter().map(|(rank, _)| *rank).collect();
    let plans = states.iter().map(|(rank, named)| (*rank, local_plan(named, &ctx(*rank, &ranks))));
    let ctx = ctx(ranks.first().expect("a rank"), &ranks);
    planner.global_plan(&gather(plans, ctx.coordinator), &ctx)
}

/// The same state on the ranks from 0 on.
pub(crate) fn everywhere(world: u32, named: &Named) -> Vec<(Rank, Named)> {
    (0..world).map(|rank| (rank, named.clone())).collect()
}

pub(crate) fn names(plan: &GlobalPlan) -> Vec<&str> {
    plan.metadata().entries().map(|(fqn, _)| fqn.as_str()).collect()
}

pub(crate) fn bytes_of(items: &[WriteItem]) -> u64 {
    let bytes = |item: &WriteItem| if let WriteWhat::Chunk(_, bytes) = item.what { bytes } else { 0 };
    items.iter().map(bytes).sum()
}
