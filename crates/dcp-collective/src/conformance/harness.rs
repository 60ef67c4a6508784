//! What the checks run on.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Collective, CollectiveError, Tag};

/// How to run code on ranks of the collective under test.
pub struct Harness<'h> {
    run: &'h Run<'h>,
    deadline: Duration,
}

type Run<'h> = dyn Fn(usize, &(dyn Fn(&dyn Collective) + Sync)) + 'h;

impl<'h> Harness<'h> {
    /// `run` starts a fresh collective of the size given, runs the body as each rank at once, drops a rank's handle when
    /// its body returns, and returns when all did.
    pub fn new(run: &'h Run<'h>) -> Self {
        Self { run, deadline: Duration::from_secs(30) }
    }

    /// How long a check waits for what should come at once (30 seconds if not set).
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs `body` on each rank; what the first rank complains of is the violation. No rank leaves before all are
    /// through, so that a check of something else does not meet the rules about departures.
    pub(super) fn check(
        &self,
        clause: &'static str,
        size: usize,
        body: impl Fn(Rank<'_>) -> Result<(), String> + Sync,
    ) -> Result<(), Violation> {
        self.check_departing(clause, size, |rank| {
            let result = body(rank);
            rank.await_the_others();
            result
        })
    }

    /// Like `check`, but each rank leaves as soon as its `body` returns.
    pub(super) fn check_departing(
        &self,
        clause: &'static str,
        size: usize,
        body: impl Fn(Rank<'_>) -> Result<(), String> + Sync,
    ) -> Result<(), Violation> {
        let complaints = Mutex::new(Vec::new());
        let patience = self.deadline;
        (self.run)(size, &|collective| {
            if let Err(what) = body(Rank { collective, patience }) {
                let complaint = (collective.rank(), what);
                complaints.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
            }
        });
        let complaints = complaints.into_inner().unwrap_or_else(PoisonError::into_inner);
        match complaints.into_iter().min() {
            None => Ok(()),
            Some((rank, what)) => Err(Violation { clause, rank, what }),
        }
    }
}

impl fmt::Debug for Harness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// How a collective breaks its contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{clause}` is broken, as rank {rank} saw it: {what}")]
pub struct Violation {
    /// The name of the check.
    pub clause: &'static str,
    /// The position of the rank that noticed.
    pub rank: usize,
    /// What it saw.
    pub what: String,
}

/// One rank of the collective under test, with the two calls that all checks make.
#[derive(Clone, Copy)]
pub(super) struct Rank<'r> {
    pub(super) collective: &'r dyn Collective,
    /// How long to wait for what should come at once.
    pub(super) patience: Duration,
}

impl Rank<'_> {
    pub(super) fn rank(&self) -> usize {
        self.collective.rank()
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    pub(super) fn send(&self, to: usize, tag: Tag, message: impl Into<Vec<u8>>) -> Result<(), String> {
        self.collective.send(to, tag, message.into()).map_err(|error| format!("sending to {to} failed: {error}"))
    }

    pub(super) fn recv(&self, from: usize, tag: Tag) -> Result<Vec<u8>, String> {
        let message = self.try_recv(from, tag);
        message.map_err(|error| format!("receiving from {from} failed: {error}"))
    }

    pub(super) fn try_recv(&self, from: usize, tag: Tag) -> Result<Vec<u8>, CollectiveError> {
        self.collective.recv(from, tag, self.deadline())
    }

    /// Receives a message that should be `expected`.
    pub(super) fn expect(&self, from: usize, tag: Tag, expected: &[u8]) -> Result<(), String> {
        let message = self.recv(from, tag)?;
        if message == expected {
            return Ok(());
        }
        if message.len().max(expected.len()) > 32 {
            return Err(format!("{} bytes from {from} are not the {} that were sent", message.len(), expected.len()));
        }
        Err(format!("received {message:?} from {from}, expected {expected:?}"))
    }
}

impl Rank<'_> {
    /// Whether this works is none of the check's business.
    fn await_the_others(&self) {
        let others = (0..self.collective.size()).filter(|&position| position != self.rank());
        for to in others.clone() {
            let _ = self.send(to, THROUGH, *b"through");
        }
        for from in others {
            let _ = self.try_recv(from, THROUGH);
        }
    }
}

/// Apart from the tags of the checks in every bit that a transport is likely to keep.
const THROUGH: Tag = Tag::new((1 << 40) + 9);

/// An error with this text unless `holds`.
pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
