//! What a save or load did.

use std::ops::AddAssign;
use std::time::Duration;

use dcp_storage::{ReadReport, WriteReport};
use dcp_types::Rank;

/// What a save did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveReport {
    /// What this rank wrote.
    pub own: WriteReport,
    /// What each rank wrote, in the order of the group. The coordinator alone is told: elsewhere this is empty.
    pub ranks: Vec<(Rank, WriteReport)>,
    pub(crate) total: WriteReport,
    /// Whether the plan of an earlier save could be used again.
    pub plan_reused: bool,
    /// How long the call took on this rank.
    pub elapsed: Duration,
}

/// What a load did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// What this rank read.
    pub own: ReadReport,
    /// What each rank read, in the order of the group. The coordinator alone is told: elsewhere this is empty.
    pub ranks: Vec<(Rank, ReadReport)>,
    pub(crate) total: ReadReport,
    /// How long the call took on this rank.
    pub elapsed: Duration,
}

impl SaveReport {
    /// What all ranks wrote together. Every rank is told.
    #[must_use]
    pub fn total(&self) -> WriteReport {
        self.total
    }
}

impl LoadReport {
    /// What all ranks read together. Every rank is told.
    #[must_use]
    pub fn total(&self) -> ReadReport {
        self.total
    }
}

/// What all did together.
pub(crate) fn total<R: Default + AddAssign>(reports: impl IntoIterator<Item = R>) -> R {
    reports.into_iter().fold(R::default(), |mut total, report| {
        total += report;
        total
    })
}
