//! Planning a save.

use dcp_types::{FlatState, GlobalPlan, RankPlan, SavePlan, Source, WriteItem};

use crate::{Declared, PlanContext, PlanError};

/// Decides what of a state is saved, and which rank writes which part.
///
/// # Contract
///
/// The steps of one save, in this order:
///
/// | step | where | what |
/// |---|---|---|
/// | [`local_plan`](Self::local_plan) | every rank | what this rank has |
/// | [`global_plan`](Self::global_plan) | coordinator | who writes what |
/// | [`finish_plan`](Self::finish_plan) | every rank | sees what it is to write; may remember or refuse it |
/// | [`resolve`](Self::resolve) | every rank, often | the bytes of one item |
///
/// - An error at any step, on any rank, fails the save on all ranks, before anything becomes visible.
/// - `local_plan` and `global_plan` depend on their arguments alone. A save whose local plans are those of an earlier
///   save may reuse its global plan without asking again.
/// - In a global plan every chunk of every tensor has one owner, and the owner has declared it.
/// - `resolve` is called from several threads at once, for the items
///   of this rank's plan, each once or more often, and returns the same bytes each time.
///
/// # Examples
///
/// A planner that leaves the decisions to another one, but refuses plans that are too much for a rank:
///
/// ```
/// use dcp_planner::{Declared, PlanContext, PlanError, SavePlanner};
/// use dcp_types::{FlatState, GlobalPlan, RankPlan, SavePlan, Source, WriteItem, WriteWhat};
///
/// struct AtMost<P> {
///     bytes: u64,
///     planner: P,
/// }
///
/// impl<P: SavePlanner> SavePlanner for AtMost<P> {
///     fn local_plan(&self, state: &FlatState<'_>, ctx: &PlanContext) -> Result<SavePlan, PlanError> {
///         self.planner.local_plan(state, ctx)
///     }
///     fn global_plan(&self, declared: &[Declared], ctx: &PlanContext) -> Result<GlobalPlan, PlanError> {
///         self.planner.global_plan(declared, ctx)
///     }
///     fn finish_plan(&self, plan: &RankPlan, ctx: &PlanContext) -> Result<(), PlanError> {
///         let bytes_of = |item: &WriteItem| if let WriteWhat::Chunk(_, bytes) = item.what { bytes } else { 0 };
///         let bytes: u64 = plan.items().iter().map(bytes_of).sum();
///         if bytes > self.bytes {
///             return Err(PlanError::custom(format!("rank {} would write {bytes} bytes", ctx.rank)));
///         }
///         self.planner.finish_plan(plan, ctx)
///     }
///     fn resolve<'a>(
///         &'a self,
///         item: &WriteItem,
///         plan: &RankPlan,
///         state: &'a FlatState<'_>,
///         ctx: &PlanContext,
///     ) -> Result<Source<'a>, PlanError> {
///         self.planner.resolve(item, plan, state, ctx)
///     }
/// }
/// ```
pub trait SavePlanner: Send + Sync {
    /// What this rank has of the state.
    ///
    /// It says which ranks hold what without telling the data: of a value, only a digest.
    ///
    /// # Errors
    /// [`PlanError::Types`] if a buffer is not what its tensor's sharding says, or a value is nested too deeply.
    fn local_plan(&self, state: &FlatState<'_>, ctx: &PlanContext) -> Result<SavePlan, PlanError>;

    /// Who writes what, from what all ranks have declared. Called on the coordinator alone.
    ///
    /// Every rank of the context is in exactly one of `declared`. There may be as many groups as ranks, although
    /// their plans differ in one part only; parts that are equal have equal digests.
    ///
    /// # Errors
    /// If the declarations contradict each other or leave a part of a tensor out: [`PlanError::Conflict`],
    /// [`PlanError::ValueDiffers`], [`PlanError::Uncovered`], [`PlanError::Overlap`], [`PlanError::Types`].
    fn global_plan(&self, declared: &[Declared], ctx: &PlanContext) -> Result<GlobalPlan, PlanError>;

    /// Sees what the coordinator's plan has this rank write, before it writes anything.
    ///
    /// # Errors
    /// Whatever makes this rank refuse the plan.
    fn finish_plan(&self, plan: &RankPlan, ctx: &PlanContext) -> Result<(), PlanError> {
        let _ = (plan, ctx);
        Ok(())
    }

    /// The bytes of one item that this rank writes: those of the chunk's region, row-major, or the value.
    ///
    /// # Errors
    /// [`PlanError::NotHeld`] if this rank does not have what the item names.
    fn resolve<'a>(
        &'a self,
        item: &WriteItem,
        plan: &RankPlan,
        state: &'a FlatState<'_>,
        ctx: &PlanContext,
    ) -> Result<Source<'a>, PlanError>;
}
