//! What the tests share.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use dcp_collective::{
    Collective, CollectiveError, Exchange, StepError, Tag, TagSource, ThreadGroup, ThreadRank, WireError,
};

/// For tests in which nobody is to lose patience, whatever the machine is busy with.
pub(crate) const AMPLE: Duration = Duration::from_secs(120);

/// For tests in which somebody is.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Runs ranks none of which may panic.
pub(crate) fn run<R: Send>(size: usize, body: impl Fn(ThreadRank) -> R + Sync) -> Vec<R> {
    ThreadGroup::run(size, body).into_iter().map(|result| result.expect("no rank panics")).collect()
}

/// A step in which every rank does as it likes.
pub(crate) fn step(
    exchange: &mut Exchange<'_>,
    local: impl FnOnce(&dcp_collective::Progress) -> Result<usize, TestError>,
) -> Result<usize, StepError<TestError>> {
    exchange.all_reduce("sum", local, |values: Vec<usize>, _| Ok(values.into_iter().sum()))
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("rank {rank} has no luck")]
pub(crate) struct TestError {
    pub(crate) rank: usize,
    pub(crate) fqn: String,
}

impl TestError {
    pub(crate) fn of(rank: usize) -> Self {
        Self { rank, fqn: format!("layer.{rank}") }
    }
}

impl WireError for TestError {
    fn kind(&self) -> &str {
        "no-luck"
    }

    fn fqn(&self) -> Option<&str> {
        Some(&self.fqn)
    }

    fn is_retryable(&self) -> bool {
        true
    }
}

/// Asserts that a rank learned of the failure of exactly these ranks.
#[track_caller]
pub(crate) fn assert_failed<R: std::fmt::Debug, E: std::fmt::Debug>(result: &Result<R, StepError<E>>, ranks: &[u32]) {
    match result {
        Err(StepError::Collective(error @ CollectiveError::Failed { .. })) => assert_eq!(error.ranks(), ranks),
        other => panic!("expected failures on {ranks:?}, found {other:?}"),
    }
}

/// Holds a rank until others are done.
pub(crate) struct Gate {
    sender: Sender<()>,
    receiver: Mutex<Receiver<()>>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver: Mutex::new(receiver) }
    }

    pub(crate) fn open(&self) {
        self.sender.send(()).expect("the gate outlives those who open it");
    }

    /// Waits until it was opened so many times.
    pub(crate) fn wait(&self, times: usize) {
        let receiver = self.receiver.lock().expect("nobody panics at the gate");
        for _ in 0..times {
            receiver.recv().expect("the gate has a sender");
        }
    }
}

/// A rank that tells a gate of every keepalive it sends.
pub(crate) struct Beating<'g> {
    pub(crate) rank: ThreadRank,
    pub(crate) beats: &'g Gate,
}

impl Collective for Beating<'_> {
    fn rank(&self) -> usize {
        self.rank.rank()
    }

    fn size(&self) -> usize {
        self.rank.size()
    }

    fn send(&self, to: usize, tag: Tag, message: Vec<u8>) -> Result<(), CollectiveError> {
        let is_keep_alive = message.first() == Some(&0);
        self.rank.send(to, tag, message)?;
        if is_keep_alive {
            self.beats.open();
        }
        Ok(())
    }

    fn recv(&self, from: usize, tag: Tag, until: Instant) -> Result<Vec<u8>, CollectiveError> {
        self.rank.recv(from, tag, until)
    }

    fn tags(&self) -> &TagSource {
        self.rank.tags()
    }
}

/// For steps that cannot fail by themselves.
pub(crate) type Sure<R> = Result<R, StepError<Infallible>>;
