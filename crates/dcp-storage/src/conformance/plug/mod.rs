//! Is your writer or reader right? The contracts of [`StorageWriter`] and [`StorageReader`] as a set of named tests.
//!
//! For those who implement the plug themselves, and for those who write a [`Format`]:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use dcp_storage::{Format, MemoryStore};
//! # fn my_format() -> Arc<dyn Format> { unimplemented!() }
//! // tests/plug.rs
//! use dcp_storage::conformance::plug::ComposedPlug;
//!
//! dcp_storage::plug_conformance!(|| {
//!     let store = MemoryStore::new();
//!     ComposedPlug::new(my_format(), move || store.clone())
//! });
//! # fn main() {}
//! ```
//!
//! See [`plug_conformance!`](crate::plug_conformance) for what it wants of you.

mod clauses;
mod macros;
mod sample;

use std::fmt;
use std::sync::Arc;

use super::check::Checked;
use super::{Subject, Violation};
use crate::{ComposedReader, ComposedWriter, Format, StorageReader, StorageWriter, Store};

pub use clauses::CLAUSES;

/// A place for one checkpoint, empty at first. While it lives, so does what is in it.
pub trait Plug: Sync {
    /// A new writer to the place, as another process would make it.
    fn writer(&self, overwrite: bool) -> Arc<dyn StorageWriter>;

    /// A new reader of the place, as another process would make it.
    fn reader(&self) -> Arc<dyn StorageReader>;

    /// The objects that checkpoints are made of, for the clauses that look at them or damage them.
    fn behind(&self) -> Option<Arc<dyn Store>> {
        None
    }
}

/// A format together with a place to keep objects in.
pub struct ComposedPlug<S> {
    format: Arc<dyn Format>,
    subject: S,
}

impl<S: Subject> ComposedPlug<S> {
    /// Checkpoints of this format in this place.
    pub fn new(format: Arc<dyn Format>, subject: S) -> Self {
        Self { format, subject }
    }
}

impl<S: Subject + Sync> Plug for ComposedPlug<S> {
    fn writer(&self, overwrite: bool) -> Arc<dyn StorageWriter> {
        Arc::new(ComposedWriter::new(Arc::clone(&self.format), self.subject.open()).overwrite(overwrite))
    }

    fn reader(&self) -> Arc<dyn StorageReader> {
        Arc::new(ComposedReader::new(Arc::clone(&self.format), self.subject.open()))
    }

    fn behind(&self) -> Option<Arc<dyn Store>> {
        Some(self.subject.open())
    }
}

impl<S> fmt::Debug for ComposedPlug<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComposedPlug").field("format", &self.format).finish_non_exhaustive()
    }
}

/// One statement of the contracts, and how to check it.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    /// What must be true, as the name of a test.
    pub name: &'static str,
    /// What a writer and reader need for this clause to apply to them.
    pub needs: Capability,
    check: fn(&dyn Plug) -> Checked,
}

impl Clause {
    /// The clause with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CLAUSES.iter().find(|clause| clause.name == name)
    }

    /// Checks the clause on a fresh, empty place.
    ///
    /// # Errors
    /// The [`Violation`] says what was done and what should have been done.
    ///
    /// # Panics
    /// Where the writer or reader itself panics.
    pub fn check(&self, plug: &dyn Plug) -> Result<(), Violation> {
        (self.check)(plug).map_err(|what| Violation { clause: self.name, what })
    }
}

/// What a writer and reader may honestly be unable to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// Nothing special: the clause holds for all.
    Always,
    /// Replacing a checkpoint.
    Overwrite,
    /// Storing values beside tensors.
    Values,
    /// Showing the objects behind, by [`Plug::behind`].
    Objects,
    /// Showing the objects, and having a checksum for each byte of tensors in them.
    Checksums,
}

/// The body of one generated test.
#[doc(hidden)]
pub fn assert_holds(name: &str, plug: &dyn Plug) {
    let clause = Clause::named(name).expect("the macro and the table have the same source");
    if let Err(violation) = clause.check(plug) {
        panic!("{violation}");
    }
}
