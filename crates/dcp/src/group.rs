//! Who takes part.

use std::time::Duration;

use dcp_collective::{Collective, Exchange, SingleProcess};
use dcp_planner::PlanContext;
use dcp_types::Rank;

use crate::Error;

/// The ranks of a save or load, the one that leads it, and how long they wait for each other.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) collective: Option<&'a dyn Collective>,
    pub(crate) coordinator: usize,
    pub(crate) patience: Duration,
}

impl<'a> Group<'a> {
    /// A single process.
    pub(crate) fn alone() -> Self {
        Self { collective: None, coordinator: 0, patience: Duration::from_secs(600) }
    }

    /// How many ranks there are.
    pub(crate) fn size(&self) -> usize {
        self.collective.map_or(1, Collective::size)
    }

    /// Takes the steps of an operation together with all ranks.
    pub(crate) fn together<R>(
        &self,
        steps: impl FnOnce(&mut Exchange<'_>, &Members) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let single;
        let collective = match self.collective {
            Some(collective) => collective,
            None => {
                single = SingleProcess::new();
                &single
            }
        };
        let labels: Vec<Rank> = (0..collective.size()).map(|position| collective.label(position)).collect();
        let mut exchange = Exchange::new(collective, self.coordinator, self.patience)?;
        let ctx = PlanContext {
            rank: labels[collective.rank()],
            coordinator: labels[self.coordinator],
            ranks: labels.iter().copied().collect(),
        };
        let outcome = steps(&mut exchange, &Members { labels, ctx });
        // Dropped without that after an error, so that all learn of it even if it did not come of a step.
        if outcome.is_ok() {
            exchange.finish();
        }
        outcome
    }
}

/// The ranks by position, and who this one is among them.
pub(crate) struct Members {
    pub(crate) labels: Vec<Rank>,
    pub(crate) ctx: PlanContext,
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use dcp_collective::{CollectiveError, ThreadGroup};
    use dcp_planner::PlanError;

    use super::*;

    #[test]
    fn an_error_between_two_steps_is_told_to_all() {
        for failing in [0, 2] {
            // Nobody leaves before all have ended: a handle that is dropped would tell the others, too.
            let ended = Barrier::new(3);
            let outcomes = ThreadGroup::run(3, |rank| {
                let patience = Duration::from_secs(5);
                let group = Group { collective: Some(&rank), coordinator: 0, patience };
                let outcome = group.together(|exchange, members| {
                    exchange.barrier("begin")?;
                    if members.ctx.rank == failing {
                        return Err(PlanError::custom("what was sent cannot be decoded").into());
                    }
                    Ok(exchange.barrier("end")?)
                });
                ended.wait();
                outcome
            });
            for (rank, outcome) in (0..).zip(outcomes) {
                let error = outcome.expect("no panic").expect_err("one has failed");
                let is_right = match &error {
                    Error::Collective(CollectiveError::Gone { rank: gone, .. }) => rank != failing && *gone == failing,
                    own => rank == failing && matches!(own, Error::Plan(_)),
                };
                assert!(is_right, "rank {rank}: {error}");
            }
        }
    }
}
