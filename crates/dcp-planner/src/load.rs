//! Planning a load.

use dcp_types::{Dest, FlatTarget, Fqn, Metadata, Value};

use crate::{EntrySet, LoadPlan, PlanContext, PlanError, Problem, TensorRead};

/// Decides what of a checkpoint is read into which buffers, and whether the checkpoint fits the target.
///
/// # Contract
///
/// The steps of one load, in this order:
///
/// | step | where | what |
/// |---|---|---|
/// | [`local_plan`](Self::local_plan) | every rank | what this rank reads, and what does not fit |
/// | [`global_plan`](Self::global_plan) | coordinator | whether the load goes on |
/// | [`wrap`](Self::wrap) | every rank, once per piece | where the bytes of a tensor go |
/// | [`load_value`](Self::load_value) | every rank, once per value | what becomes of a value |
///
/// - An error at any step, on any rank, fails the load on all ranks. Up to `global_plan` no buffer has been touched.
/// - What a checkpoint lacks or has in another form is a [`Problem`] in the local plan, not an error: so that
///   one report can name all of them.
/// - The reads of a [`PartRead`](crate::PartRead) cover its part exactly, each element once.
/// - `wrap` and `load_value` are called from several threads at once, in any order.
///
/// # Examples
///
/// A planner that leaves all decisions to another one, and brings an old form of a value up to date:
///
/// ```
/// use dcp_planner::{EntrySet, LoadPlan, LoadPlanner, PlanContext, PlanError, Problem, TensorRead};
/// use dcp_types::{Dest, FlatTarget, Fqn, Metadata, Value};
///
/// struct StepsFromEpochs<P>(P);
///
/// impl<P: LoadPlanner> LoadPlanner for StepsFromEpochs<P> {
///     fn local_plan(&self, saved: &Metadata, target: &FlatTarget<'_>, ctx: &PlanContext) -> Result<LoadPlan, PlanError> {
///         self.0.local_plan(saved, target, ctx)
///     }
///     fn global_plan(
///         &self,
///         saved: &Metadata,
///         named: &EntrySet,
///         problems: Vec<Problem>,
///         ctx: &PlanContext,
///     ) -> Result<(), PlanError> {
///         self.0.global_plan(saved, named, problems, ctx)
///     }
///     fn wrap<'a>(&'a self, read: &TensorRead, dest: Dest<'a>) -> Result<Dest<'a>, PlanError> {
///         self.0.wrap(read, dest)
///     }
///     fn load_value(&self, fqn: &Fqn, value: Value) -> Result<Value, PlanError> {
///         match value {
///             Value::Float(epochs) if fqn.as_str() == "step" => Ok(Value::Int((epochs * 1000.0) as i64)),
///             other => self.0.load_value(fqn, other),
///         }
///     }
/// }
/// ```
pub trait LoadPlanner: Send + Sync {
    /// What this rank reads, and what of the checkpoint does not fit.
    ///
    /// # Errors
    /// [`PlanError::Types`] if the target contradicts itself. What is wrong between target and checkpoint is reported in
    /// [`LoadPlan::problems`].
    fn local_plan(
        &self,
        metadata: &Metadata,
        target: &FlatTarget<'_>,
        ctx: &PlanContext,
    ) -> Result<LoadPlan, PlanError>;

    /// Judges what all ranks found. Called on the coordinator alone.
    ///
    /// `named` are the entries that any rank's plan names; what no rank names is in the checkpoint unexpectedly. `problems` are
    /// those of all ranks, each once.
    ///
    /// # Errors
    /// [`PlanError::Mismatch`] with all problems, if the checkpoint is not to be loaded.
    fn global_plan(
        &self,
        metadata: &Metadata,
        named: &EntrySet,
        problems: Vec<Problem>,
        ctx: &PlanContext,
    ) -> Result<(), PlanError>;

    /// Puts something before the destination of one piece of a tensor: to cast, to digest, to compare.
    ///
    /// `dest` takes bytes of dtype [`read.wanted`](TensorRead::wanted); what is returned must take bytes of
    /// [`read.stored`](TensorRead::stored), for the same elements.
    ///
    /// # Errors
    /// [`PlanError::Unsupported`] if it cannot.
    fn wrap<'a>(&'a self, read: &TensorRead, dest: Dest<'a>) -> Result<Dest<'a>, PlanError> {
        let _ = read;
        Ok(dest)
    }

    /// What the load returns for a value of the target, given the one that is stored.
    ///
    /// # Errors
    /// Whatever makes the value unusable.
    fn load_value(&self, fqn: &Fqn, value: Value) -> Result<Value, PlanError> {
        let _ = fqn;
        Ok(value)
    }
}
