//! What can keep a checkpoint from fitting a target.

use std::fmt;

use dcp_types::{DType, Fqn};
use serde::{Deserialize, Serialize};

/// One thing in which a checkpoint and the target of a load differ. Names are those in the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Problem {
    /// The target wants it, the checkpoint does not have it.
    Missing {
        /// Its name.
        fqn: Fqn,
    },
    /// The checkpoint has it, no rank's target wants it.
    Unexpected {
        /// Its name.
        fqn: Fqn,
    },
    /// A tensor here, a value there.
    Kind {
        /// Its name.
        fqn: Fqn,
        /// What it is in the checkpoint.
        saved: LeafKind,
        /// What the target wants.
        wanted: LeafKind,
    },
    /// Another global shape.
    Shape {
        /// Its name.
        fqn: Fqn,
        /// The shape in the checkpoint.
        saved: Vec<u64>,
        /// The shape that the target wants.
        wanted: Vec<u64>,
    },
    /// Another dtype, and conversion was not asked for.
    DType {
        /// Its name.
        fqn: Fqn,
        /// The dtype in the checkpoint.
        saved: DType,
        /// The dtype that the target wants.
        wanted: DType,
    },
    /// Another dtype, conversion was asked for, and there is none.
    Conversion {
        /// Its name.
        fqn: Fqn,
        /// The dtype in the checkpoint.
        saved: DType,
        /// The dtype that the target wants.
        wanted: DType,
    },
}

/// What a leaf of a state tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LeafKind {
    /// A tensor.
    Tensor,
    /// A plain value, or a foreign object.
    Value,
}

impl Problem {
    /// The name of what does not fit.
    #[must_use]
    pub fn fqn(&self) -> &Fqn {
        match self {
            Self::Missing { fqn }
            | Self::Unexpected { fqn }
            | Self::Kind { fqn, .. }
            | Self::Shape { fqn, .. }
            | Self::DType { fqn, .. }
            | Self::Conversion { fqn, .. } => fqn,
        }
    }

    /// What problems of this kind have in common.
    fn heading(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing from the checkpoint",
            Self::Unexpected { .. } => "in the checkpoint, but not wanted by any rank",
            Self::Kind { .. } => "tensor or value",
            Self::Shape { .. } => "another shape",
            Self::DType { .. } => "another dtype (conversion was not asked for)",
            Self::Conversion { .. } => "another dtype, and no conversion from one to the other",
        }
    }

    /// What sets this one apart from others of its kind.
    fn detail(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fqn = self.fqn();
        match self {
            Self::Missing { .. } | Self::Unexpected { .. } => write!(f, "{fqn}"),
            Self::Kind { saved, wanted, .. } => write!(f, "{fqn}: saved a {saved}, wanted a {wanted}"),
            Self::Shape { saved, wanted, .. } => write!(f, "{fqn}: saved {saved:?}, wanted {wanted:?}"),
            Self::DType { saved, wanted, .. } | Self::Conversion { saved, wanted, .. } => {
                write!(f, "{fqn}: saved {saved}, wanted {wanted}")
            }
        }
    }
}

/// One line: `another shape: layers.0.weight: saved [4, 8], wanted [8, 8]`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.heading())?;
        self.detail(f)
    }
}

impl fmt::Display for LeafKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tensor => "tensor",
            Self::Value => "value",
        })
    }
}

/// All problems in one report: grouped by kind, sorted by name, each once.
pub(crate) fn report(problems: &[Problem], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut sorted: Vec<_> = problems.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    f.write_str("the checkpoint does not fit what is to be loaded")?;
    for group in sorted.chunk_by(|one, next| one.heading() == next.heading()) {
        write!(f, "\n  {}: {}", group[0].heading(), group.len())?;
        for problem in group {
            f.write_str("\n    ")?;
            problem.detail(f)?;
        }
    }
    Ok(())
}
