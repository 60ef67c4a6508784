//! What can be wrong with a plan.

use dcp_types::{DType, DataError, Fqn, Rank, RankSet, Region, TypesError};

use crate::Problem;

/// Why a plan cannot be made or followed. Nothing has been written or overwritten when it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A description that contradicts itself.
    #[error("{}{source}", prefix(fqn))]
    Types {
        /// The tensor or value, if it is one that is at fault.
        fqn: Option<Fqn>,
        /// What is wrong.
        source: Box<TypesError>,
    },
    /// Two ranks describe one tensor or value in ways that cannot both be right.
    #[error("{fqn}: its {what} is {first} on rank {}, but {second} on rank {}", ranks.0, ranks.1)]
    Conflict {
        /// The tensor or value.
        fqn: Fqn,
        /// The two ranks.
        ranks: (Rank, Rank),
        /// In what they differ: `shape`, `dtype`, `kind`, `layout`, `place in the tree`.
        what: &'static str,
        /// How the first rank has it.
        first: String,
        /// How the second rank has it.
        second: String,
    },
    /// Two ranks have another value under one name.
    #[error("{fqn}: the value on rank {rank} is not the one on rank {other}")]
    ValueDiffers {
        /// The value.
        fqn: Fqn,
        /// A rank that has it.
        rank: Rank,
        /// A rank that has another one.
        other: Rank,
    },
    /// A part of a tensor lies on ranks that do not take part, or that did not declare it.
    #[error("{fqn}: no complete copy; parts of it are on {ranks:?}, which do not save it")]
    Uncovered {
        /// The tensor.
        fqn: Fqn,
        /// The ranks without which it is not complete.
        ranks: RankSet,
    },
    /// Two ranks hold parts of a tensor that overlap without being the same.
    #[error("{fqn}: {} on rank {} overlaps {} on rank {}", regions.0, ranks.0, regions.1, ranks.1)]
    Overlap {
        /// The tensor.
        fqn: Fqn,
        /// The two ranks.
        ranks: (Rank, Rank),
        /// What each has.
        regions: Box<(Region, Region)>,
    },
    /// The plan names something that this rank does not have.
    #[error("{fqn}: rank {rank} is to write what it does not have")]
    NotHeld {
        /// The tensor or value.
        fqn: Fqn,
        /// The rank.
        rank: Rank,
    },
    /// An item names an entry that its plan does not have.
    #[error("the plan has no entry number {entry}")]
    NoEntry {
        /// The number.
        entry: usize,
    },
    /// A checkpoint and the target of a load differ: everything in which they do, in one report.
    #[error("{}", Report(.0))]
    Mismatch(Vec<Problem>),
    /// A tensor cannot be converted to the dtype that is wanted.
    #[error("{fqn}: no conversion from {from} to {to}")]
    Unsupported {
        /// The tensor.
        fqn: Fqn,
        /// The dtype in the checkpoint.
        from: DType,
        /// The dtype that is wanted.
        to: DType,
    },
    /// What a planner of a user reports.
    #[error(transparent)]
    Custom(DataError),
}

impl PlanError {
    /// What a planner of a user reports: an error of its own, or just a text.
    #[must_use]
    pub fn custom(error: impl Into<DataError>) -> Self {
        Self::Custom(error.into())
    }

    /// A description that contradicts itself, and the tensor or value that it is of.
    #[must_use]
    pub fn types(fqn: &Fqn, source: TypesError) -> Self {
        Self::Types { fqn: Some(fqn.clone()), source: Box::new(source) }
    }

    /// The tensor or value that is at fault, if it is one.
    #[must_use]
    pub fn fqn(&self) -> Option<&Fqn> {
        match self {
            Self::Types { fqn, .. } => fqn.as_ref(),
            Self::Conflict { fqn, .. }
            | Self::ValueDiffers { fqn, .. }
            | Self::Uncovered { fqn, .. }
            | Self::Overlap { fqn, .. }
            | Self::NotHeld { fqn, .. }
            | Self::Unsupported { fqn, .. } => Some(fqn),
            Self::Mismatch(problems) => match &problems[..] {
                [only] => Some(only.fqn()),
                _ => None,
            },
            Self::NoEntry { .. } | Self::Custom(_) => None,
        }
    }

    /// A short, stable word for what is wrong, for programs and for other ranks.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Types { .. } => "types",
            Self::Conflict { .. } => "conflict",
            Self::ValueDiffers { .. } => "value-differs",
            Self::Uncovered { .. } => "uncovered",
            Self::Overlap { .. } => "overlap",
            Self::NotHeld { .. } => "not-held",
            Self::NoEntry { .. } => "no-entry",
            Self::Mismatch(_) => "mismatch",
            Self::Unsupported { .. } => "unsupported",
            Self::Custom(_) => "custom",
        }
    }
}

impl From<TypesError> for PlanError {
    fn from(source: TypesError) -> Self {
        Self::Types { fqn: None, source: Box::new(source) }
    }
}

fn prefix(fqn: &Option<Fqn>) -> String {
    fqn.as_ref().map_or_else(String::new, |fqn| format!("{fqn}: "))
}

struct Report<'a>(&'a [Problem]);

impl std::fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::problem::report(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LeafKind;

    #[test]
    fn a_mismatch_is_one_report() {
        let shape = |fqn: &str| Problem::Shape { fqn: fqn.into(), saved: vec![4, 8], wanted: vec![8, 8] };
        let error = PlanError::Mismatch(vec![
            shape("b"),
            Problem::Unexpected { fqn: "ema".into() },
            shape("a"),
            Problem::Missing { fqn: "head.bias".into() },
            Problem::Kind { fqn: "step".into(), saved: LeafKind::Value, wanted: LeafKind::Tensor },
            Problem::DType { fqn: "c".into(), saved: DType::BFloat16, wanted: DType::Float32 },
            shape("b"),
        ]);
        let report = "\
the checkpoint does not fit what is to be loaded
  missing from the checkpoint: 1
    head.bias
  in the checkpoint, but not wanted by any rank: 1
    ema
  tensor or value: 1
    step: saved a value, wanted a tensor
  another shape: 2
    a: saved [4, 8], wanted [8, 8]
    b: saved [4, 8], wanted [8, 8]
  another dtype (conversion was not asked for): 1
    c: saved bfloat16, wanted float32";
        assert_eq!(error.to_string(), report);
        assert_eq!((error.kind(), error.fqn()), ("mismatch", None));
    }

    #[test]
    fn errors_say_where_they_are() {
        let of_tensor = PlanError::types(&"w".into(), TypesError::NotFlat);
        assert_eq!(of_tensor.to_string(), "w: a flat buffer must have one dimension and be contiguous");
        let of_none = PlanError::from(TypesError::TooDeep(3));
        assert_eq!((of_none.to_string().as_str(), of_none.fqn()), ("nested more than 3 levels deep", None));
        assert_eq!(PlanError::custom("no").to_string(), "no");
    }
}
