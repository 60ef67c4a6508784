//! The default load planner.

use std::fmt;
use std::sync::Arc;

use dcp_planner::{
    EntrySet, LeafKind, LoadPlan, LoadPlanner, PartRead, PlanContext, PlanError, Problem, RegionRead, TensorRead,
    ValueRead,
};
use dcp_types::{
    Dest, EntryKind, FlatTarget, Fqn, HeldPart, Metadata, Rank, TargetLeaf, TargetTensor, TensorEntry, TypesError,
};

use crate::cast;

/// Fills each rank's buffers from the chunks of a checkpoint, however many ranks saved it and however they cut it.
///
/// By default a checkpoint must have exactly what is wanted: every name, in the shape and dtype of the target, and
/// nothing else. All that differs, on all ranks, is one error: [`PlanError::Mismatch`].
///
/// # Examples
///
/// ```
/// use dcp_default_planner::DefaultLoadPlanner;
/// use dcp_types::Fqn;
///
/// // Take what fits out of the checkpoint of a wrapped model, in whatever precision it was saved.
/// let planner = DefaultLoadPlanner::new()
///     .partial()
///     .convert_dtypes(true)
///     .rename(|name| Fqn::from(format!("module.{name}")));
/// # let _ = planner;
/// ```
#[derive(Clone, Default)]
pub struct DefaultLoadPlanner {
    allow_missing: bool,
    allow_unexpected: bool,
    convert_dtypes: bool,
    rename: Option<Arc<Rename>>,
}

type Rename = dyn Fn(&Fqn) -> Fqn + Send + Sync;

impl DefaultLoadPlanner {
    /// A checkpoint must have exactly what is wanted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the checkpoint may lack what is wanted. What it lacks keeps the content that it has.
    #[must_use]
    pub fn allow_missing(mut self, allow: bool) -> Self {
        self.allow_missing = allow;
        self
    }

    /// Whether the checkpoint may have more than any rank wants.
    #[must_use]
    pub fn allow_unexpected(mut self, allow: bool) -> Self {
        self.allow_unexpected = allow;
        self
    }

    /// Loads what is on both sides, and leaves the rest.
    #[must_use]
    pub fn partial(self) -> Self {
        self.allow_missing(true).allow_unexpected(true)
    }

    /// Whether tensors are converted to the dtype of the target, as PyTorch's `copy_` does.
    ///
    /// It converts between `bool`, all integers, all floats of 16 to 64 bits, complex numbers, `float8_e4m3fn` and
    /// `float8_e5m2`:
    /// - To a float: the nearest, ties to even; what is too large becomes infinite (in `float8_e4m3fn`, which has no
    ///   infinity, NaN). To floats of 16 and 8 bits through `float32`.
    /// - From float to integer: towards zero. What is out of range becomes the nearest that is in range, and NaN becomes 0;
    ///   PyTorch leaves both undefined.
    /// - From integer to a shorter integer: the low bits.
    /// - To `bool`: whether it is not 0.
    /// - From complex to real: the imaginary part is dropped; from real to complex it is 0.
    #[must_use]
    pub fn convert_dtypes(mut self, convert: bool) -> Self {
        self.convert_dtypes = convert;
        self
    }

    /// Under which name in the checkpoint a name of the target is looked for.
    #[must_use]
    pub fn rename(mut self, saved_name: impl Fn(&Fqn) -> Fqn + Send + Sync + 'static) -> Self {
        self.rename = Some(Arc::new(saved_name));
        self
    }

    fn saved_name(&self, target: &Fqn) -> Fqn {
        self.rename.as_ref().map_or_else(|| target.clone(), |rename| rename(target))
    }

    /// What keeps a tensor from being loaded.
    fn problem(&self, fqn: &Fqn, saved: &TensorEntry, target: &TargetTensor<'_>) -> Option<Problem> {
        let fqn = fqn.clone();
        let (stored, wanted) = (saved.dtype, target.spec.dtype());
        if saved.shape != *target.spec.shape() {
            let (saved, wanted) = (saved.shape.dims().to_vec(), target.spec.shape().dims().to_vec());
            return Some(Problem::Shape { fqn, saved, wanted });
        }
        match (stored == wanted, self.convert_dtypes, cast::converts(stored, wanted)) {
            (true, ..) | (false, true, true) => None,
            (false, true, false) => Some(Problem::Conversion { fqn, saved: stored, wanted }),
            (false, false, _) => Some(Problem::DType { fqn, saved: stored, wanted }),
        }
    }
}

impl LoadPlanner for DefaultLoadPlanner {
    fn local_plan(
        &self,
        metadata: &Metadata,
        target: &FlatTarget<'_>,
        ctx: &PlanContext,
    ) -> Result<LoadPlan, PlanError> {
        let mut plan = LoadPlan::default();
        for (name, (_, leaf)) in target {
            let fqn = self.saved_name(name);
            let Some((entry, saved)) = metadata.find(fqn.as_str()) else {
                plan.problems.push(Problem::Missing { fqn });
                continue;
            };
            plan.named.insert(entry);
            match (&saved.kind, leaf) {
                (EntryKind::Tensor(saved), TargetLeaf::Tensor(tensor)) => match self.problem(&fqn, saved, tensor) {
                    Some(problem) => plan.problems.push(problem),
                    None => plan.tensors.push(read(name, entry, saved, tensor, ctx.rank)?),
                },
                (EntryKind::Value | EntryKind::Object, TargetLeaf::Value) => {
                    plan.values.push(ValueRead { target: name.clone(), entry });
                }
                (_, TargetLeaf::Tensor(_)) => {
                    plan.problems.push(Problem::Kind { fqn, saved: LeafKind::Value, wanted: LeafKind::Tensor });
                }
                (_, TargetLeaf::Value) => {
                    plan.problems.push(Problem::Kind { fqn, saved: LeafKind::Tensor, wanted: LeafKind::Value });
                }
            }
        }
        Ok(plan)
    }

    fn global_plan(
        &self,
        metadata: &Metadata,
        named: &EntrySet,
        mut problems: Vec<Problem>,
        _ctx: &PlanContext,
    ) -> Result<(), PlanError> {
        if self.allow_missing {
            problems.retain(|problem| !matches!(problem, Problem::Missing { .. }));
        }
        if !self.allow_unexpected {
            let unexpected = metadata.entries().enumerate().filter(|(entry, _)| !named.contains(*entry));
            problems.extend(unexpected.map(|(_, (fqn, _))| Problem::Unexpected { fqn: fqn.clone() }));
        }
        problems.sort_unstable();
        problems.dedup();
        if problems.is_empty() { Ok(()) } else { Err(PlanError::Mismatch(problems)) }
    }

    fn wrap<'a>(&'a self, read: &TensorRead, dest: Dest<'a>) -> Result<Dest<'a>, PlanError> {
        let (from, to) = (read.stored, read.wanted);
        if from == to {
            return Ok(dest);
        }
        let refused = || PlanError::Unsupported { fqn: read.target.clone(), from, to };
        if self.convert_dtypes { cast::cast(from, to, dest).ok_or_else(refused) } else { Err(refused()) }
    }
}

impl fmt::Debug for DefaultLoadPlanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultLoadPlanner")
            .field("allow_missing", &self.allow_missing)
            .field("allow_unexpected", &self.allow_unexpected)
            .field("convert_dtypes", &self.convert_dtypes)
            .field("rename", &self.rename.is_some())
            .finish()
    }
}

/// What a rank reads of a tensor: the chunks that meet what it holds.
fn read(
    name: &Fqn,
    entry: usize,
    saved: &TensorEntry,
    target: &TargetTensor<'_>,
    rank: Rank,
) -> Result<TensorRead, PlanError> {
    let fault = |fault| PlanError::types(name, fault);
    let wanted = target.spec.dtype();
    target.spec.check_buffer(rank, target.dest.dtype(), &target.dest.shape()).map_err(fault)?;
    let parts = target.spec.parts(rank).into_iter().map(|held| part_read(held, saved)).collect::<Result<_, _>>();
    Ok(TensorRead { target: name.clone(), entry, stored: saved.dtype, wanted, parts: parts.map_err(fault)? })
}

fn part_read(held: HeldPart, saved: &TensorEntry) -> Result<PartRead, TypesError> {
    let chunks = saved.chunks_meeting(&held.region).into_iter();
    let meet = chunks.filter_map(|chunk| Some(RegionRead { region: chunk.region.intersect(&held.region)?, chunk }));
    let reads: Vec<_> = meet.collect();
    // The chunks of a tensor tile it. A planner or format of somebody else might not know.
    let (covered, total) = (reads.iter().map(|read| read.region.numel()).sum(), held.region.numel());
    if covered == total { Ok(PartRead { held, reads }) } else { Err(TypesError::Hole { covered, total }) }
}
