//! Why a step failed, as ranks tell each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::frame::Step;
use crate::{CollectiveError, Departure, RankFailure};

/// The wire form of a [`CollectiveError`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Verdict {
    Failed(Vec<RankFailure>),
    Silent { rank: u32, waited: Duration },
    Gone { rank: u32, why: Departure },
    Diverged { rank: u32 },
    Malformed { rank: u32, what: String },
}

impl Verdict {
    /// What the rank labelled `me` tells the others. Errors that mean something only where they happened become a
    /// failure of that rank.
    pub(super) fn of(me: u32, error: &CollectiveError) -> Self {
        match error {
            CollectiveError::Failed { failures, .. } => Self::Failed(failures.clone()),
            CollectiveError::Silent { rank, waited, .. } => Self::Silent { rank: *rank, waited: *waited },
            CollectiveError::Gone { rank, why } => Self::Gone { rank: *rank, why: *why },
            CollectiveError::Diverged { rank, .. } => Self::Diverged { rank: *rank },
            CollectiveError::Malformed { rank, what, .. } => Self::Malformed { rank: *rank, what: what.clone() },
            local => Self::Failed(vec![RankFailure::of(me, local)]),
        }
    }

    /// The error for a rank that learns of it in `step`.
    pub(super) fn into_error(self, step: Step) -> CollectiveError {
        let step = step.name;
        match self {
            Self::Failed(failures) => CollectiveError::Failed { step, failures },
            Self::Silent { rank, waited } => CollectiveError::Silent { rank, step, waited },
            Self::Gone { rank, why } => CollectiveError::Gone { rank, why },
            Self::Diverged { rank } => CollectiveError::Diverged { rank, step },
            Self::Malformed { rank, what } => CollectiveError::Malformed { rank, step, what },
        }
    }
}
