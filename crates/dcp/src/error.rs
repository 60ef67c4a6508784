//! What can go wrong with a checkpoint.

use dcp_collective::{CollectiveError, StepError, WireError};
use dcp_planner::PlanError;
use dcp_stateful::StatefulError;
use dcp_storage::StorageError;
use dcp_types::TypesError;

/// What went wrong in a save, a load, a comparison or a conversion.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state, or what is to be loaded, cannot be planned for.
    #[error(transparent)]
    Plan(Box<PlanError>),
    /// The storage or the checkpoint in it.
    #[error(transparent)]
    Storage(Box<StorageError>),
    /// Another rank, or the way to it.
    #[error(transparent)]
    Collective(#[from] CollectiveError),
    /// A description that contradicts itself.
    #[error(transparent)]
    Types(Box<TypesError>),
    /// The state's own code.
    #[error(transparent)]
    Stateful(Box<StatefulError>),
    /// Something that this build has no code for.
    #[error("{what} needs the cargo feature `{feature}` of dcp-checkpoint")]
    MissingFeature {
        /// What was asked for.
        what: String,
        /// The feature that has it.
        feature: &'static str,
    },
    /// A location that names no store.
    #[error("{location:?} is not a place for checkpoints: {reason}")]
    Location {
        /// The location as given.
        location: String,
        /// Why not.
        reason: &'static str,
    },
    /// No format has this name.
    #[error("{name:?} is no format that is known here: {}", .known.join(", "))]
    UnknownFormat {
        /// The name as given.
        name: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// A pattern of names that cannot be understood.
    #[error("the pattern {pattern:?} cannot be understood: {reason}")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A choice of names that chooses nothing: a mistake in writing it, most likely.
    #[error("nothing in {location} is meant by {choice}")]
    NothingChosen {
        /// The checkpoint.
        location: String,
        /// The choice, as `--include model.*`.
        choice: String,
    },
    /// Two entries would get one name.
    #[error("renaming would call both {first:?} and {second:?} {name:?}")]
    SameName {
        /// The new name.
        name: String,
        /// An entry of the source.
        first: String,
        /// Another one.
        second: String,
    },
    /// What is not there that the checkpoint of a Trainer has, or what is there that it does not have.
    #[error("{location} cannot become a checkpoint of Lightning's Trainer: {reason}")]
    NotOfTrainer {
        /// The checkpoint.
        location: String,
        /// What is missing, or too much.
        reason: String,
    },
    /// Tensors cannot be converted to this dtype, as it is not a floating-point one.
    #[error("tensors are converted to floating-point dtypes only, not to {dtype}")]
    NotFloatingPoint {
        /// The dtype.
        dtype: dcp_types::DType,
    },
    /// Source and destination of a conversion are one place.
    #[error("{location} is both source and destination; convert to another place")]
    SamePlace {
        /// The place.
        location: String,
    },
    /// The source of a conversion could not be read. Nothing is at the destination that was not there before.
    #[error("cannot read {fqn} of the source: {source}")]
    Source {
        /// The tensor or value, by the name that it was to get.
        fqn: dcp_types::Fqn,
        /// What went wrong.
        source: Box<StorageError>,
    },
    /// Somebody asked for the conversion to stop. What it had written was removed.
    #[error("cancelled; what was written was removed")]
    Cancelled,
    /// A tolerance that is none: negative, or not finite.
    #[error("{value} is no tolerance: it must be finite, and not negative")]
    Tolerance {
        /// The number as given.
        value: f64,
    },
    /// The checkpoint has no tensor or value of this name.
    #[error("the checkpoint in {location} has no {kind} named {fqn:?}")]
    NoEntry {
        /// The checkpoint.
        location: String,
        /// `tensor` or `value`.
        kind: &'static str,
        /// The name.
        fqn: String,
    },
}

impl Error {
    /// Whether the checkpoint itself is at fault: it is corrupt, damaged or incomplete.
    #[must_use]
    pub fn is_bad_checkpoint(&self) -> bool {
        matches!(self, Self::Storage(error) | Self::Source { source: error, .. } if error.is_bad_checkpoint())
    }

    /// The ranks that are at fault, where that is known of other ranks.
    #[must_use]
    pub fn ranks(&self) -> Vec<u32> {
        match self {
            Self::Collective(error) => error.ranks(),
            _ => Vec::new(),
        }
    }
}

impl WireError for Error {
    fn kind(&self) -> &str {
        match self {
            Self::Plan(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Collective(_) => "collective",
            Self::Types(_) => "types",
            Self::Stateful(_) => "stateful",
            Self::MissingFeature { .. } => "missing-feature",
            Self::Location { .. } => "location",
            Self::UnknownFormat { .. } => "unknown-format",
            Self::Pattern { .. } => "pattern",
            Self::NothingChosen { .. } => "nothing-chosen",
            Self::SameName { .. } => "same-name",
            Self::NotOfTrainer { .. } => "not-of-trainer",
            Self::NotFloatingPoint { .. } => "not-floating-point",
            Self::Tolerance { .. } => "tolerance",
            Self::SamePlace { .. } => "same-place",
            Self::Source { source, .. } => source.kind(),
            Self::Cancelled => "cancelled",
            Self::NoEntry { .. } => "no-entry",
        }
    }

    fn fqn(&self) -> Option<&str> {
        match self {
            Self::Plan(error) => error.fqn().map(dcp_types::Fqn::as_str),
            Self::Storage(error) => error.fqn().map(dcp_types::Fqn::as_str),
            Self::NoEntry { fqn, .. } => Some(fqn),
            Self::Source { fqn, .. } => Some(fqn.as_str()),
            _ => None,
        }
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Storage(error) | Self::Source { source: error, .. } if error.is_retryable())
    }
}

macro_rules! boxed {
    ($($variant:ident($source:ty)),*) => {$(
        impl From<$source> for Error {
            fn from(source: $source) -> Self {
                Self::$variant(Box::new(source))
            }
        }
    )*};
}

// Boxed, so that a `Result` of the happy path stays small.
boxed!(Plan(PlanError), Storage(StorageError), Types(TypesError), Stateful(StatefulError));

impl From<StepError<Error>> for Error {
    fn from(error: StepError<Error>) -> Self {
        match error {
            StepError::Own(error) => error,
            StepError::Collective(error) => Self::Collective(error),
        }
    }
}
