//! What can go wrong between ranks.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{RankFailure, WireError};

/// An error of talking to other ranks, or one that happened on them. Ranks are named by their
/// [label](crate::Collective::label).
#[non_exhaustive]
#[derive(Debug, Clone, thiserror::Error)]
pub enum CollectiveError {
    /// A step failed on these ranks, in ascending order of their positions.
    #[error("`{step}` failed on {}", FailureList(failures))]
    Failed {
        /// The step at which this rank learned of it.
        step: &'static str,
        /// One or more failures of each rank that failed.
        failures: Vec<RankFailure>,
    },

    /// A rank neither answered nor made progress for as long as the exchange is patient.
    #[error("rank {rank} made no progress for {waited:.1?} in `{step}`")]
    Silent {
        /// The rank that stalled.
        rank: u32,
        /// The step that waited for it.
        step: &'static str,
        /// How long nothing was heard of it.
        waited: Duration,
    },

    /// A rank is no longer there.
    #[error("rank {rank} {why}")]
    Gone {
        /// The rank that is gone.
        rank: u32,
        /// How it went.
        why: Departure,
    },

    /// Nothing came from a rank until the deadline of one [`recv`](crate::Collective::recv).
    #[error("no message from rank {rank} before the deadline")]
    TimedOut {
        /// The rank from which a message was expected.
        rank: u32,
    },

    /// A rank sent something that cannot be understood.
    #[error("malformed message from rank {rank} in `{step}`: {what}")]
    Malformed {
        /// The rank that sent it.
        rank: u32,
        /// The step that received it.
        step: &'static str,
        /// What is wrong with it.
        what: String,
    },

    /// A rank is at another step: the program does not call the same steps in the same order everywhere.
    #[error("rank {rank} is at another step than `{step}`")]
    Diverged {
        /// The rank whose step differs.
        rank: u32,
        /// The step of the rank that noticed.
        step: &'static str,
    },

    /// A value of this rank cannot be turned into a message.
    #[error("cannot encode the value of `{step}`: {what}")]
    Unencodable {
        /// The step.
        step: &'static str,
        /// What the encoder says.
        what: String,
    },

    /// The reduction of a [`reduce_scatter`](crate::Exchange::reduce_scatter) did not give one value for each rank.
    #[error("`{step}` must give {expected} values, one for each rank, and gave {found}")]
    WrongCount {
        /// The step.
        step: &'static str,
        /// The number of ranks.
        expected: usize,
        /// The number of values.
        found: usize,
    },

    /// There is no rank at this position.
    #[error("there is no rank at position {position} of {size}")]
    NoSuchRank {
        /// The position asked for.
        position: usize,
        /// The number of ranks.
        size: usize,
    },

    /// A list of members cannot be a group: it names a position twice.
    #[error("position {position} appears twice among the members of a group")]
    MemberTwice {
        /// The position.
        position: usize,
    },

    /// The transport failed. For implementers of [`Collective`](crate::Collective).
    #[error("transport failed: {message}")]
    Transport {
        /// What was tried, and with which rank.
        message: String,
        /// The transport's own error.
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
}

impl CollectiveError {
    /// The ranks that this error blames, in the order in which it names them; none when no other rank is at fault.
    pub fn ranks(&self) -> Vec<u32> {
        match self {
            Self::Failed { failures, .. } => {
                let mut ranks: Vec<u32> = failures.iter().map(|failure| failure.rank).collect();
                ranks.dedup();
                ranks
            }
            Self::Silent { rank, .. }
            | Self::Gone { rank, .. }
            | Self::TimedOut { rank }
            | Self::Malformed { rank, .. }
            | Self::Diverged { rank, .. } => vec![*rank],
            Self::Unencodable { .. }
            | Self::WrongCount { .. }
            | Self::NoSuchRank { .. }
            | Self::MemberTwice { .. }
            | Self::Transport { .. } => Vec::new(),
        }
    }
}

impl WireError for CollectiveError {
    fn kind(&self) -> &str {
        match self {
            Self::Failed { .. } => "failed",
            Self::Silent { .. } => "silent",
            Self::Gone { .. } => "gone",
            Self::TimedOut { .. } => "timed-out",
            Self::Malformed { .. } => "malformed",
            Self::Diverged { .. } => "diverged",
            Self::Unencodable { .. } => "unencodable",
            Self::WrongCount { .. } => "wrong-count",
            Self::NoSuchRank { .. } => "no-such-rank",
            Self::MemberTwice { .. } => "member-twice",
            Self::Transport { .. } => "transport",
        }
    }

    fn fqn(&self) -> Option<&str> {
        match self {
            Self::Failed { failures, .. } => failures.iter().find_map(|failure| failure.fqn.as_deref()),
            _ => None,
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Failed { failures, .. } => failures.iter().all(|failure| failure.retryable),
            // The rank is still there and may get going again.
            Self::Silent { .. } | Self::TimedOut { .. } => true,
            _ => false,
        }
    }
}

/// How a rank went.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Departure {
    /// Its code panicked.
    Panicked,
    /// It ended, or gave up, before the others were done with it.
    Left,
    /// The connection to it broke; whether it still runs is unknown.
    Lost,
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panicked => "panicked",
            Self::Left => "left early",
            Self::Lost => "cannot be reached any more",
        })
    }
}

/// Why a step of an [`Exchange`](crate::Exchange) failed, as one rank sees it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StepError<E> {
    /// The work of this rank failed: its own error, as it was.
    #[error(transparent)]
    Own(E),
    /// Another rank failed, or the talking did.
    #[error(transparent)]
    Collective(#[from] CollectiveError),
}

impl<E> StepError<E> {
    /// Folds both cases into an error that can be made from either.
    pub fn fold<F: From<E> + From<CollectiveError>>(self) -> F {
        match self {
            Self::Own(error) => error.into(),
            Self::Collective(error) => error.into(),
        }
    }
}

/// "1 rank: ..." or "3 ranks: ...; ...", with the first few in full.
struct FailureList<'a>(&'a [RankFailure]);

/// How many failures are shown in full. All are in the error; a line with thousands of them helps nobody.
const SHOWN: usize = 4;

impl fmt::Display for FailureList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.0;
        let mut ranks: Vec<u32> = failures.iter().map(|failure| failure.rank).collect();
        ranks.dedup();
        write!(f, "{} rank{}: ", ranks.len(), if ranks.len() == 1 { "" } else { "s" })?;
        for (index, failure) in failures.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{failure}")?;
        }
        if let Some(rest) = failures.get(SHOWN..).filter(|rest| !rest.is_empty()) {
            write!(f, "; and on rank")?;
            for (index, failure) in rest.iter().enumerate() {
                write!(f, "{} {}", if index == 0 { "" } else { "," }, failure.rank)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_failing_ranks_are_listed_and_the_first_few_in_full() {
        let failures: Vec<RankFailure> =
            (0..6).map(|rank| RankFailure::of(rank, &std::io::Error::other(format!("no. {rank}")))).collect();
        let error = CollectiveError::Failed { step: "write", failures };
        assert_eq!(error.ranks(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(
            error.to_string(),
            "`write` failed on 6 ranks: rank 0: no. 0 [io]; rank 1: no. 1 [io]; rank 2: no. 2 [io]; \
             rank 3: no. 3 [io]; and on rank 4, 5"
        );
    }
}
