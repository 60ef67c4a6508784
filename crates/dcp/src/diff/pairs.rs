//! What of one checkpoint is to be compared with what of the other.

use std::collections::HashSet;

use dcp_types::{Entry, Fqn, TensorEntry};

use super::report::{Difference, Mismatch, Side, Unreadable};
use crate::pattern::Patterns;
use crate::{Checkpoint, Error};

/// A tensor of both sides, of one dtype and shape.
pub(super) struct TensorPair<'a> {
    pub(super) fqn: &'a Fqn,
    pub(super) entries: [usize; 2],
    pub(super) tensors: [&'a TensorEntry; 2],
}

/// A value of both sides.
pub(super) struct ValuePair<'a> {
    pub(super) fqn: &'a Fqn,
    pub(super) entries: [usize; 2],
}

/// What was found by names, dtypes and shapes alone, and what is left to be read.
#[derive(Default)]
pub(super) struct Pairs<'a> {
    pub(super) tensors: Vec<TensorPair<'a>>,
    pub(super) values: Vec<ValuePair<'a>>,
    pub(super) differences: Vec<Difference>,
    pub(super) unreadable: Vec<Unreadable>,
}

/// Every name of a checkpoint, of what is sound and of what is not.
fn names(of: &Checkpoint) -> impl Iterator<Item = &Fqn> {
    let unsound = of.findings().iter().filter_map(|finding| finding.fqn.as_ref());
    of.metadata().entries().map(|(fqn, _)| fqn).chain(unsound)
}

impl<'a> Pairs<'a> {
    pub(super) fn new(sides: [&'a Checkpoint; 2], meant: &Patterns) -> Result<Self, Error> {
        meant.check(|| sides.into_iter().flat_map(names), || sides.map(Checkpoint::location).join(" and in "))?;
        let mut pairs = Self::default();
        for (side, checkpoint) in Side::BOTH.into_iter().zip(sides) {
            for finding in checkpoint.findings() {
                if finding.fqn.as_ref().is_none_or(|fqn| meant.take(fqn)) {
                    pairs.unreadable.push(Unreadable::of_finding(finding, side));
                }
            }
        }
        let unsound: HashSet<&Fqn> =
            sides.into_iter().flat_map(Checkpoint::findings).filter_map(|finding| finding.fqn.as_ref()).collect();
        let is_meant = |fqn: &Fqn| meant.take(fqn) && !unsound.contains(fqn);
        let [left, right] = sides.map(Checkpoint::metadata);
        for (number, (fqn, entry)) in left.entries().enumerate().filter(|(_, (fqn, _))| is_meant(fqn)) {
            match right.find(fqn.as_str()) {
                Some((other, found)) => pairs.add(fqn, [number, other], [entry, found]),
                None => pairs.differ(fqn, Mismatch::OnlyIn(Side::Left)),
            }
        }
        for (fqn, _) in right.entries().filter(|(fqn, _)| is_meant(fqn)) {
            if left.find(fqn.as_str()).is_none() {
                pairs.differ(fqn, Mismatch::OnlyIn(Side::Right));
            }
        }
        Ok(pairs)
    }

    fn add(&mut self, fqn: &'a Fqn, entries: [usize; 2], [left, right]: [&'a Entry; 2]) {
        match (left.as_tensor(), right.as_tensor()) {
            (None, None) => self.values.push(ValuePair { fqn, entries }),
            (None, Some(_)) => self.differ(fqn, Mismatch::ValueIn(Side::Left)),
            (Some(_), None) => self.differ(fqn, Mismatch::ValueIn(Side::Right)),
            (Some(left), Some(right)) => {
                if left.dtype != right.dtype {
                    self.differ(fqn, Mismatch::DType([left.dtype, right.dtype]));
                }
                if left.shape != right.shape {
                    self.differ(fqn, Mismatch::Shape([left.shape.clone(), right.shape.clone()]));
                }
                if (left.dtype, &left.shape) == (right.dtype, &right.shape) {
                    self.tensors.push(TensorPair { fqn, entries, tensors: [left, right] });
                }
            }
        }
    }

    fn differ(&mut self, fqn: &Fqn, mismatch: Mismatch) {
        self.differences.push(Difference::new(fqn, mismatch));
    }
}
