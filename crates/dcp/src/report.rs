//! What a save or load did.

use std::time::Duration;

use dcp_storage::{ReadReport, WriteReport};
use dcp_types::Rank;

/// What a save did. Every rank gets the same but for `elapsed`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveReport {
    /// What each rank wrote, in the order of the group.
    pub ranks: Vec<(Rank, WriteReport)>,
    /// Whether the plan of an earlier save could be used again.
    pub plan_reused: bool,
    /// How long the call took on this rank.
    pub elapsed: Duration,
}

/// What a load did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// What each rank read, in the order of the group.
    pub ranks: Vec<(Rank, ReadReport)>,
    /// How long the call took on this rank.
    pub elapsed: Duration,
}

impl SaveReport {
    /// What all ranks wrote together.
    #[must_use]
    pub fn total(&self) -> WriteReport {
        self.ranks.iter().fold(WriteReport::default(), |mut total, (_, report)| {
            total += *report;
            total
        })
    }
}

impl LoadReport {
    /// What all ranks read together.
    #[must_use]
    pub fn total(&self) -> ReadReport {
        self.ranks.iter().fold(ReadReport::default(), |mut total, (_, report)| {
            total += *report;
            total
        })
    }
}
