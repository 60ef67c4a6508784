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
