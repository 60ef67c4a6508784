//! Finds out in what two checkpoints differ.

mod alike;
mod elements;
mod in_step;
mod pairs;
mod pieces;
mod report;
mod rule;
mod sides;
mod tensors;
mod values;

pub use report::{Comparison, Difference, Elements, Mismatch, Outcome, Side, Unreadable};

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dcp_types::Fqn;

use crate::pattern::Patterns;
use crate::{Checkpoint, Error, Location, Opener};
use pairs::Pairs;
use rule::Rule;
use sides::Sides;

/// Compares two checkpoints, tensor by tensor and value by value, whatever format and sharding each has.
///
/// ```
/// use dcp::{Comparer, LocalTensor, MemoryStore, Mismatch, Outcome, Saver, StateDict};
/// let save = |elements: &[f32]| {
///     let array = ndarray::arr1(elements).into_dyn();
///     let store = MemoryStore::new();
///     Saver::new().save_dict(&StateDict::new().with("w", LocalTensor::whole(array.view())?), store.clone())?;
///     Ok::<_, dcp::Error>(store)
/// };
/// let (left, right) = (save(&[1.0, 2.0, 3.0])?, save(&[1.0, 2.5, 3.0])?);
///
/// let comparison = Comparer::new().compare(left.clone(), right.clone())?;
/// assert_eq!(comparison.outcome(), Outcome::Different);
/// let Mismatch::Elements(elements) = &comparison.differences[0].mismatch else { panic!("{comparison:?}") };
/// assert_eq!((elements.differing, elements.of, elements.first.as_slice()), (1, 3, &[1][..]));
/// assert_eq!((elements.max_abs, elements.max_rel), (Some(0.5), Some(0.2)));
///
/// assert_eq!(Comparer::new().rtol(0.2)?.compare(left, right)?.outcome(), Outcome::Same);
/// # Ok::<(), dcp::Error>(())
/// ```
///
/// # What is the same
/// Tensors have one dtype and one shape; how they are cut into chunks does not matter. Of two elements
/// * the same bits are the same, and so are two NaNs, whatever their bits (but see [`equal_nan`](Self::equal_nan));
/// * other bits differ unless a tolerance is given: 0.0 and -0.0 differ;
/// * with a tolerance they are the same if |left - right| <= [`atol`](Self::atol) + [`rtol`](Self::rtol) * |right|, as
///   `numpy.isclose` has it: |z| of a complex number is its magnitude, infinities are near nothing but themselves, and a bool is 0 or 1.
///   Integers are subtracted exactly, all others as 64-bit floats.
///
/// Dtypes that are not converted to numbers are compared by their bits (those of 8-bit floats other than `float8_e4m3fn` and
/// `float8_e5m2`, and packed ones).
///
/// Numbers and tensors inside values follow the same rule. Sets have no order, dicts have one, and what is opaque is compared by its
/// bytes.
///
/// # What it costs
/// Every byte of what both sides have is read once, on several threads, and compared in memory; only what differs is looked at as numbers. A
/// tensor that differs is read once more if it has checksums for more than what was read at a time, so that damage is not called a
/// difference; equal bytes are equal without. In memory there are the indexes, some tens of MiB, and the largest pair of values.
///
/// What cannot be read is told, and the comparison goes on.
pub struct Comparer<'p> {
    rule: Rule,
    meant: Patterns,
    opener: Opener,
    progress: &'p (dyn Fn(u64) + Send + Sync),
}

impl Default for Comparer<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'p> Comparer<'p> {
    /// Compares everything, bit for bit but for NaNs.
    #[must_use]
    pub fn new() -> Self {
        let rule = Rule { rtol: 0.0, atol: 0.0, equal_nan: true };
        Self { rule, meant: Patterns::default(), opener: Opener::new(), progress: &|_| {} }
    }

    /// Allows elements to differ by so much, relative to the right one.
    ///
    /// # Errors
    /// [`Error::Tolerance`] if it is negative or not finite.
    pub fn rtol(mut self, rtol: f64) -> Result<Self, Error> {
        self.rule.rtol = tolerance(rtol)?;
        Ok(self)
    }

    /// Allows elements to differ by so much.
    ///
    /// # Errors
    /// [`Error::Tolerance`] if it is negative or not finite.
    pub fn atol(mut self, atol: f64) -> Result<Self, Error> {
        self.rule.atol = tolerance(atol)?;
        Ok(self)
    }

    /// Whether two NaNs are the same, whatever their bits (they are unless told). A complex number is NaN if a part of it is.
    #[must_use]
    pub fn equal_nan(mut self, equal_nan: bool) -> Self {
        self.rule.equal_nan = equal_nan;
        self
    }

    /// Compares only what has a whole name that matches this pattern, or another one that is given so.
    ///
    /// In a pattern, `*` stands for any characters, dots among them, `?` for one, `[ab]` for one of these, `{a,b}` for one of these
    /// patterns, and a backslash takes the meaning from what follows it.
    ///
    /// # Errors
    /// [`Error::Pattern`] if it cannot be understood. A pattern that matches nothing on either side fails the comparison:
    /// [`Error::NothingChosen`].
    pub fn include(mut self, pattern: &str) -> Result<Self, Error> {
        self.meant.include(pattern)?;
        Ok(self)
    }

    /// Leaves out what has a whole name that matches this pattern, whatever is [included](Self::include).
    ///
    /// # Errors
    /// [`Error::Pattern`] if it cannot be understood.
    pub fn exclude(mut self, pattern: &str) -> Result<Self, Error> {
        self.meant.exclude(pattern)?;
        Ok(self)
    }

    /// Opens checkpoints in another way: with more formats, with more transforms.
    #[must_use]
    pub fn opener(mut self, opener: Opener) -> Self {
        self.opener = opener;
        self
    }

    /// Tells how many bytes have been read since it was told last, now and then and from any thread.
    #[must_use]
    pub fn progress<'q>(self, progress: &'q (dyn Fn(u64) + Send + Sync)) -> Comparer<'q> {
        Comparer { rule: self.rule, meant: self.meant, opener: self.opener, progress }
    }

    /// Compares the checkpoints at two places. They are opened for [rescue](Checkpoint::salvage): what an index describes wrongly is
    /// [unreadable](Comparison::unreadable), and the rest is compared.
    ///
    /// # Errors
    /// If one of them cannot be opened, as [`Checkpoint::salvage`] says, and as [`compare_open`](Self::compare_open). What cannot be read
    /// of them is in the [`Comparison`].
    pub fn compare(&self, left: impl Into<Location>, right: impl Into<Location>) -> Result<Comparison, Error> {
        self.compare_open(&self.opener.salvage(left)?, &self.opener.salvage(right)?)
    }

    /// Compares two open checkpoints. How they verify what is read does not matter here.
    ///
    /// # Errors
    /// [`Error::NothingChosen`].
    pub fn compare_open(&self, left: &Checkpoint, right: &Checkpoint) -> Result<Comparison, Error> {
        let (start, read) = (Instant::now(), AtomicU64::new(0));
        let count = |bytes| {
            read.fetch_add(bytes, Ordering::Relaxed);
            (self.progress)(bytes);
        };
        let checkpoints = [left, right];
        let Pairs { tensors, values, mut differences, mut unreadable } = Pairs::new(checkpoints, &self.meant)?;
        let sides = Sides::new(checkpoints, &count);
        for (number, outcome) in tensors::compare(&sides, &tensors, self.rule) {
            let fqn = tensors[number].fqn;
            match outcome {
                Ok(elements) => differences.push(Difference::new(fqn, Mismatch::Elements(elements))),
                Err((side, error)) => unreadable.push(Unreadable::new(fqn, side, &error)),
            }
        }
        values::compare(&sides, &values, self.rule, &mut |pair, outcome| match outcome {
            Ok(place) => differences.push(Difference::new(pair.fqn, Mismatch::Value(place))),
            Err((side, error)) => unreadable.push(Unreadable::new(pair.fqn, side, &error)),
        });
        differences.sort_by_cached_key(|difference| place(checkpoints, &difference.fqn));
        unreadable.sort_by_cached_key(|one| one.fqn.as_ref().map(|fqn| place(checkpoints, fqn)));
        Ok(Comparison {
            locations: checkpoints.map(|checkpoint| checkpoint.location().to_owned()),
            formats: checkpoints.map(Checkpoint::format),
            tensors: tensors.len() as u64,
            values: values.len() as u64,
            bytes: tensors.iter().fold(0, |sum, pair| sum.saturating_add(pair.tensors[0].nbytes())),
            read: read.into_inner(),
            differences,
            unreadable,
            elapsed: start.elapsed(),
        })
    }
}

impl fmt::Debug for Comparer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comparer").field("rule", &self.rule).field("meant", &self.meant).finish_non_exhaustive()
    }
}

fn tolerance(value: f64) -> Result<f64, Error> {
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(Error::Tolerance { value }) }
}

/// Where a name is told: in the order of the left side, then what only the right one has.
fn place(checkpoints: [&Checkpoint; 2], fqn: &Fqn) -> [usize; 2] {
    let number = |checkpoint: &Checkpoint| checkpoint.metadata().find(fqn.as_str()).map(|(number, _)| number);
    checkpoints.map(|checkpoint| number(checkpoint).unwrap_or(usize::MAX))
}
