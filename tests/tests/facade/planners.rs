//! Planners of users, which change one thing of what the default ones do.

use std::sync::{Arc, Mutex, MutexGuard};

use dcp::crates::dcp_planner::{Declared, EntrySet, LoadPlan, PlanContext, TensorRead};
use dcp::{DefaultLoadPlanner, DefaultSavePlanner, LoadPlanner, Metadata, PlanError, Problem, SavePlanner, ViewMut};
use dcp_types::{
    Chunks, DType, DataError, DataSink, DataSource, Dest, FlatState, FlatTarget, Fqn, GlobalPlan, Owners, RankPlan,
    SavePlan, Source, WriteItem,
};

/// Changes the global plan, and remembers it and what every rank sees of it.
pub(crate) struct Changing {
    pub(crate) inner: DefaultSavePlanner,
    pub(crate) change: fn(GlobalPlan) -> Result<GlobalPlan, PlanError>,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// By the coordinator.
    pub(crate) made: Vec<GlobalPlan>,
    /// By each rank.
    pub(crate) own: Vec<RankPlan>,
}

impl Changing {
    fn seen(&self) -> Result<MutexGuard<'_, Seen>, PlanError> {
        self.seen.lock().map_err(|_| PlanError::custom("poisoned"))
    }
}

/// The plan as it is.
pub(crate) fn unchanged(plan: GlobalPlan) -> Result<GlobalPlan, PlanError> {
    Ok(plan)
}

/// Every chunk by name.
pub(crate) fn expanded(plan: GlobalPlan) -> Result<GlobalPlan, PlanError> {
    Ok(plan.expand()?)
}

/// Each chunk of a grid with replicas goes to another one of the ranks that hold it.
pub(crate) fn spread(plan: GlobalPlan) -> Result<GlobalPlan, PlanError> {
    let listed = plan.expand()?;
    let entries = plan.metadata().entries().zip(listed.metadata().entries()).zip(listed.owners());
    let owners = entries.map(|(((_, symbolic), (_, listed)), owners)| {
        let chunks = |tensor: &dcp_types::TensorEntry| tensor.chunks.clone();
        match (symbolic.as_tensor().map(chunks), listed.as_tensor().map(chunks)) {
            (Some(Chunks::Grid(grid)), Some(Chunks::List(list))) => {
                let replicas = grid.replicas();
                let numbered = (1u64..).zip(list.regions());
                let holder =
                    |(number, region): (u64, &dcp_types::Region)| grid.holder(region.offsets(), number % replicas);
                Owners::Each(numbered.filter_map(holder).collect())
            }
            _ => owners.clone(),
        }
    });
    Ok(GlobalPlan::new(listed.metadata().as_ref().clone(), owners.collect())?)
}

impl SavePlanner for Changing {
    fn local_plan(&self, state: &FlatState<'_>, ctx: &PlanContext) -> Result<SavePlan, PlanError> {
        self.inner.local_plan(state, ctx)
    }

    fn global_plan(&self, declared: &[Declared], ctx: &PlanContext) -> Result<GlobalPlan, PlanError> {
        let plan = (self.change)(self.inner.global_plan(declared, ctx)?)?;
        self.seen()?.made.push(plan.clone());
        Ok(plan)
    }

    fn finish_plan(&self, plan: &RankPlan, _ctx: &PlanContext) -> Result<(), PlanError> {
        self.seen()?.own.push(plan.clone());
        Ok(())
    }

    fn resolve<'a>(
        &'a self,
        item: &WriteItem,
        plan: &RankPlan,
        state: &'a FlatState<'_>,
        ctx: &PlanContext,
    ) -> Result<Source<'a>, PlanError> {
        self.inner.resolve(item, plan, state, ctx)
    }
}

/// Plans to read into something that is not there, or into the same buffer once more.
pub(crate) struct Astray(pub(crate) Option<&'static str>);

impl LoadPlanner for Astray {
    fn local_plan(
        &self,
        metadata: &Metadata,
        target: &FlatTarget<'_>,
        ctx: &PlanContext,
    ) -> Result<LoadPlan, PlanError> {
        let mut plan = DefaultLoadPlanner::new().local_plan(metadata, target, ctx)?;
        let mut read = plan.tensors[0].clone();
        read.target = self.0.map_or(read.target, Fqn::from);
        plan.tensors.push(read);
        Ok(plan)
    }

    fn global_plan(
        &self,
        metadata: &Metadata,
        named: &EntrySet,
        problems: Vec<Problem>,
        ctx: &PlanContext,
    ) -> Result<(), PlanError> {
        DefaultLoadPlanner::new().global_plan(metadata, named, problems, ctx)
    }
}

/// Flips bits of every tensor on its way into a checkpoint, and back on the way out.
pub(crate) struct Masked {
    pub(crate) mask: u8,
    pub(crate) save: DefaultSavePlanner,
    pub(crate) load: DefaultLoadPlanner,
}

impl SavePlanner for Masked {
    fn local_plan(&self, state: &FlatState<'_>, ctx: &PlanContext) -> Result<SavePlan, PlanError> {
        self.save.local_plan(state, ctx)
    }

    fn global_plan(&self, declared: &[Declared], ctx: &PlanContext) -> Result<GlobalPlan, PlanError> {
        self.save.global_plan(declared, ctx)
    }

    fn resolve<'a>(
        &'a self,
        item: &WriteItem,
        plan: &RankPlan,
        state: &'a FlatState<'_>,
        ctx: &PlanContext,
    ) -> Result<Source<'a>, PlanError> {
        let inner = self.save.resolve(item, plan, state, ctx)?;
        Ok(match inner.tensor_type() {
            None => inner,
            Some((dtype, shape)) => Source::Lazy(Box::new(Masking { mask: self.mask, inner, dtype, shape })),
        })
    }
}

impl LoadPlanner for Masked {
    fn local_plan(
        &self,
        metadata: &Metadata,
        target: &FlatTarget<'_>,
        ctx: &PlanContext,
    ) -> Result<LoadPlan, PlanError> {
        self.load.local_plan(metadata, target, ctx)
    }

    fn global_plan(
        &self,
        metadata: &Metadata,
        named: &EntrySet,
        problems: Vec<Problem>,
        ctx: &PlanContext,
    ) -> Result<(), PlanError> {
        self.load.global_plan(metadata, named, problems, ctx)
    }

    fn wrap<'a>(&'a self, _read: &TensorRead, dest: Dest<'a>) -> Result<Dest<'a>, PlanError> {
        match dest {
            Dest::Memory(view) => Ok(Dest::Sink(Box::new(Unmasking { mask: self.mask, view, offset: 0 }))),
            other => Err(PlanError::custom(format!("{other:?} is not what a load starts from"))),
        }
    }
}

struct Masking<'a> {
    mask: u8,
    inner: Source<'a>,
    dtype: DType,
    shape: Vec<u64>,
}

impl DataSource for Masking<'_> {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        match &self.inner {
            Source::View(view) => view.read_at(offset, out)?,
            Source::Lazy(lazy) => lazy.read_at(offset, out)?,
            Source::Shared(shared) => shared.read_at(offset, out)?,
            other => return Err(format!("{other:?} is no tensor").into()),
        }
        out.iter_mut().for_each(|byte| *byte ^= self.mask);
        Ok(())
    }
}

struct Unmasking<'a> {
    mask: u8,
    view: ViewMut<'a>,
    offset: u64,
}

impl DataSink for Unmasking<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        let unmasked: Vec<u8> = bytes.iter().map(|byte| byte ^ self.mask).collect();
        self.view.write_at(self.offset, &unmasked)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}
