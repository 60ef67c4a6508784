//! What a comparison has found.

use std::fmt;
use std::time::Duration;

use dcp_collective::WireError;
use dcp_storage::Finding;
use dcp_types::{DType, Fqn, Shape, StatePath};

use crate::Error;

/// In what two checkpoints differ.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// Where they are, left and right.
    pub locations: [String; 2],
    /// The names of their formats.
    pub formats: [&'static str; 2],
    /// How many tensors were compared element by element.
    pub tensors: u64,
    /// How many values were compared.
    pub values: u64,
    /// The bytes of elements of each side that were to be compared.
    pub bytes: u64,
    /// Bytes that were read of both: items, headers and tables of checksums, but not the indexes.
    pub read: u64,
    /// All in which they differ, in the order of the left one, then what only the right one has.
    pub differences: Vec<Difference>,
    /// All that could not be compared.
    pub unreadable: Vec<Unreadable>,
    /// How long it took.
    pub elapsed: Duration,
}

/// One of the two checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The first one.
    Left,
    /// The second one, to which relative differences are relative.
    Right,
}

/// Something in which two checkpoints differ.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The tensor or value.
    pub fqn: Fqn,
    /// In what.
    pub mismatch: Mismatch,
}

/// In what a tensor or value differs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Mismatch {
    /// Only this side has one of that name.
    OnlyIn(Side),
    /// One side has a tensor, this one a value.
    ValueIn(Side),
    /// The dtypes of a tensor, left and right. Its elements were not compared.
    DType([DType; 2]),
    /// The shapes of a tensor, left and right. Its elements were not compared.
    Shape([Shape; 2]),
    /// Elements of a tensor.
    Elements(Elements),
    /// A value: the first place in it that differs; no steps if that is all of it. Types of other languages are no steps.
    Value(StatePath),
}

/// How many elements of a tensor differ, and by how much.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Elements {
    /// How many differ.
    pub differing: u64,
    /// Of how many.
    pub of: u64,
    /// The index of the first that differs, in row-major order.
    pub first: Vec<u64>,
    /// The largest |left - right| of those that differ; `None` if there is no such number: of NaNs, and of dtypes that
    /// are not converted to numbers.
    pub max_abs: Option<f64>,
    /// The largest |left - right| / |right| of those that differ; infinite where right is 0 or a difference infinite.
    pub max_rel: Option<f64>,
    /// How many of those that differ are NaN, on one side or on both.
    pub nan: u64,
}

/// A tensor or value that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// Its name; `None` if the index does not say of what it is that something is wrong.
    pub fqn: Option<Fqn>,
    /// The side on which it cannot be read.
    pub side: Side,
    /// A short, stable word for what is wrong, as that of [`StorageError::kind`](dcp_storage::StorageError::kind).
    pub kind: String,
    /// What is wrong, for people.
    pub message: String,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No difference was found, and everything was compared.
    Same,
    /// They differ, and everything was compared.
    Different,
    /// Not everything could be compared, whether or not the rest differs.
    Unknown,
}

impl Comparison {
    /// What it comes to.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match (self.unreadable.is_empty(), self.differences.is_empty()) {
            (true, true) => Outcome::Same,
            (true, false) => Outcome::Different,
            (false, _) => Outcome::Unknown,
        }
    }
}

impl Side {
    /// Both, in order.
    pub(super) const BOTH: [Self; 2] = [Self::Left, Self::Right];
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Right => "right",
        })
    }
}

impl Difference {
    pub(super) fn new(fqn: &Fqn, mismatch: Mismatch) -> Self {
        Self { fqn: fqn.clone(), mismatch }
    }
}

impl Unreadable {
    pub(super) fn new(fqn: &Fqn, side: Side, error: &Error) -> Self {
        Self { fqn: Some(fqn.clone()), side, kind: error.kind().to_owned(), message: error.to_string() }
    }

    /// What an index describes in a way that cannot be right.
    pub(super) fn of_finding(finding: &Finding, side: Side) -> Self {
        let (kind, message) = (finding.fault.kind().to_owned(), finding.fault.to_string());
        Self { fqn: finding.fqn.clone(), side, kind, message }
    }
}
