//! What ranks do by the plan: they write; then the coordinator commits, or removes what was written.

use std::cell::OnceCell;

use dcp_collective::{CollectiveError, Exchange, Progress, RankFailure};
use dcp_planner::{PlanContext, SavePlanner};
use dcp_storage::{SaveToken, StorageError, WriteReport, WriteResult, WriteSource};
use dcp_types::{FlatState, Rank, RankPlan, Source, WriteItem};

use super::Saving;
use super::plan::Told;
use crate::Error;
use crate::group::Members;
use crate::report::total;

/// What was written by this rank, by each (on the coordinator), and by all.
pub(super) struct Written {
    pub(super) own: WriteReport,
    pub(super) ranks: Vec<(Rank, WriteReport)>,
    pub(super) total: WriteReport,
}

impl Saving<'_, '_> {
    /// Writes on every rank; commits on the coordinator.
    pub(super) fn write(
        &self,
        exchange: &mut Exchange<'_>,
        members: &Members,
        token: &SaveToken,
        told: Told,
    ) -> Result<Written, Error> {
        let kept = OnceCell::new();
        let (mut own_report, mut ranks) = (WriteReport::default(), Vec::new());
        let local = |progress: &Progress| {
            let plan = self.keep(told)?;
            let own = &kept.get_or_init(|| plan).own;
            self.saver.planner.finish_plan(own, self.ctx)?;
            let source = Resolver { planner: &*self.saver.planner, plan: own, flat: self.flat, ctx: self.ctx };
            let advance = |bytes| progress.advance(bytes);
            let io = self.io.clone().with_progress(&advance);
            let written = io.block_on(self.writer.write_data(token, own, &source, &io))?;
            own_report = written.report;
            Ok(written)
        };
        let mut all_wrote = false;
        let commit = |results: Vec<WriteResult>, progress: &Progress| {
            all_wrote = true;
            let Some(whole) = kept.get().and_then(|kept| kept.whole.as_ref()) else {
                unreachable!("the coordinator has made the plan")
            };
            let results: Vec<_> = members.labels.iter().copied().zip(results).collect();
            let advance = |bytes| progress.advance(bytes);
            let io = self.io.clone().with_progress(&advance);
            io.block_on(self.writer.finish(token, &whole.prepared, &results, &io))?;
            ranks = results.into_iter().map(|(rank, result)| (rank, result.report)).collect();
            Ok::<_, Error>(total(ranks.iter().map(|(_, report)| *report)))
        };
        let written = exchange.all_reduce("write", local, commit).map_err(|error| {
            let error = Error::from(error);
            let stopped = all_wrote || members.labels.len() == 1 || ended_everywhere(&error);
            self.abort(token, &error, stopped);
            error
        });
        Ok(Written { total: written?, own: own_report, ranks })
    }

    /// Removes what a failed save has written. What cannot be removed now, a later save removes.
    pub(super) fn abort(&self, token: &SaveToken, error: &Error, ranks_stopped: bool) {
        let unknown = matches!(error, Error::Storage(error) if matches!(**error, StorageError::CommitUnknown { .. }));
        if self.ctx.rank == self.ctx.coordinator && !unknown {
            drop(self.io.block_on(self.writer.abort(token, ranks_stopped)));
        }
    }
}

/// Whether an error of a step says that the step has ended on every rank, even if it failed there.
fn ended_everywhere(error: &Error) -> bool {
    match error {
        // A rank whose own part failed has ended it, and the others were waited for; unless some were lost.
        Error::Collective(CollectiveError::Failed { failures, .. }) => !failures.iter().any(RankFailure::is_lost),
        // What became of the others is not told beside an error of one's own.
        _ => false,
    }
}

/// A planner and a state as the source of a writer.
struct Resolver<'s, 'f> {
    planner: &'s dyn SavePlanner,
    plan: &'s RankPlan,
    flat: &'s FlatState<'f>,
    ctx: &'s PlanContext,
}

impl WriteSource for Resolver<'_, '_> {
    fn source(&self, item: &WriteItem) -> Result<Source<'_>, StorageError> {
        self.planner.resolve(item, self.plan, self.flat, self.ctx).map_err(|error| {
            let fqn = self.plan.outline().name(item.entry);
            StorageError::NoSource { fqn, source: Box::new(error) }
        })
    }
}
