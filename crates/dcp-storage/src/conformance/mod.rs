//! Is your store right? The contract of [`Store`] as a set of named tests.
//!
//! One line in a test of yours runs all of them, each under its own name:
//!
//! ```no_run
//! // tests/conformance.rs
//! use dcp_storage::MemoryStore;
//!
//! dcp_storage::store_conformance!(|| {
//!     let store = MemoryStore::new();
//!     move || store.clone()
//! });
//! # fn main() {}
//! ```
//!
//! See [`store_conformance!`](crate::store_conformance) for what it wants of you. To run the clauses
//! some other way, for instance over many configurations in a loop, take them from [`CLAUSES`].
//!
//! [`plug`] is the same for those who implement [`StorageWriter`](crate::StorageWriter) and
//! [`StorageReader`](crate::StorageReader), or a [`Format`](crate::Format).
//!
//! [`transform`] is the same for those who implement [`StreamTransform`](crate::StreamTransform).
//!
//! [`FaultStore`] is for the level above: it makes any store fail at a chosen operation, so that
//! whoever uses a store can show what survives.

mod block_on;
mod check;
mod clauses;
mod fault;
mod macros;
pub mod plug;
pub mod transform;

use std::fmt;
use std::sync::Arc;

use crate::Store;

pub use block_on::block_on;
pub use clauses::CLAUSES;
pub use fault::{Fault, FaultStore, Faults, Operation};

/// A place under test, empty at first. While it lives, so do the objects in it.
///
/// Any closure that returns a store is one; a temporary directory that the closure owns lives as long.
pub trait Subject {
    /// A new handle on the place, as another process would open it: each call gives one more, and
    /// they share nothing but the place itself.
    fn open(&self) -> Arc<dyn Store>;
}

impl<F, S> Subject for F
where
    F: Fn() -> S,
    S: Store + 'static,
{
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self())
    }
}

/// One statement of the contract, and how to check it.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    /// What must be true, as the name of a test.
    pub name: &'static str,
    /// What a store needs for this clause to apply to it.
    pub needs: Capability,
    check: fn(&dyn Subject) -> check::Checked,
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
    /// The [`Violation`] says what the store did and what it should have done.
    ///
    /// # Panics
    /// Where the store itself panics.
    pub fn check(&self, subject: &dyn Subject) -> Result<(), Violation> {
        (self.check)(subject).map_err(|what| Violation { clause: self.name, what })
    }
}

/// What a store may honestly be unable to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// Nothing special: the clause holds for every store.
    Always,
    /// Replacing a published object, with or without a condition on its version.
    Replace,
    /// Several independent handles on one place.
    Reopen,
    /// Telling apart names that differ in case or in Unicode normalisation only, as some file systems do not.
    ExactNames,
    /// Naming and discarding unfinished uploads, also those that another handle has begun: without [`Reopen`](Self::Reopen)
    /// there is not this either.
    Unfinished,
    /// Objects that several write together ([`Store::shared`]): without [`Unfinished`](Self::Unfinished) there is not this either.
    Shared,
}

/// A contract was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The name of the clause.
    pub clause: &'static str,
    /// What was done, and what should have been done.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the clause `{}` is broken: {}", self.clause, self.what)
    }
}

impl std::error::Error for Violation {}

/// The body of one generated test.
#[doc(hidden)]
pub fn assert_holds(name: &str, subject: &dyn Subject) {
    let clause = Clause::named(name).expect("the macro and the table have the same source");
    if let Err(violation) = clause.check(subject) {
        panic!("{violation}");
    }
}
