//! The coordinator waits for what other ranks deliver.

use std::time::Instant;

use super::frame::{Frame, Step};
use super::link::{Incoming, Link, Watch};
use super::monitor::{Movement, watched};
use super::patience::after;
use crate::{CollectiveError, Progress, RankFailure};

/// Values by position, as they came.
pub(super) type Delivered = Vec<(usize, Frame)>;

/// What came so far, and from whom something is still to come.
///
/// A rank whose own work failed is one that delivered: the others are waited for, so that all failures are reported at
/// once. A rank that is *lost* (silent, gone, not understood) ends the step at once.
pub(super) struct Gather<'l, 'a> {
    link: &'l Link<'a>,
    step: Step,
    pending: Vec<Pending>,
    /// The others: those who wait for the coordinator.
    waiting: Vec<usize>,
    values: Delivered,
    failures: Vec<(usize, RankFailure)>,
    losses: Vec<(usize, CollectiveError)>,
    /// When the waiting ranks are to hear of the coordinator next.
    next_keep_alive: Instant,
}

struct Pending {
    position: usize,
    /// When something was last heard of it.
    heard: Instant,
}

/// What became of looking for a message.
enum Looked {
    Nothing,
    KeptAlive,
    Delivered,
}

impl<'l, 'a> Gather<'l, 'a> {
    /// Starts to wait for the ranks of `from`; this rank is skipped.
    pub(super) fn new(link: &'l Link<'a>, step: Step, from: impl Fn(usize) -> bool) -> Self {
        let heard = Instant::now();
        let (pending, waiting): (Vec<usize>, Vec<usize>) = link.others().partition(|&position| from(position));
        Self {
            link,
            step,
            pending: pending.into_iter().map(|position| Pending { position, heard }).collect(),
            waiting,
            values: Vec::new(),
            failures: Vec::new(),
            losses: Vec::new(),
            next_keep_alive: heard,
        }
    }

    /// Runs the coordinator's own work, receiving meanwhile. When a rank is lost the others are told at once, not when
    /// the work ends. While the work makes no progress nobody hears that the coordinator is there.
    pub(super) fn during<R>(&mut self, work: impl FnOnce(&Progress) -> R) -> R {
        if self.link.is_alone() {
            return work(&Progress::new());
        }
        let mut movement = Movement::default();
        watched(self.link.patience.slice(self.link.collective.size()), work, |progress| {
            self.sweep();
            if let Err(error) = self.unbroken() {
                self.link.condemn(self.step, &error);
                progress.cancel();
                return Watch::Break(());
            }
            self.keep_alive_if(|| movement.of(progress));
            Watch::Continue(())
        })
    }

    /// An error when a rank is already lost.
    pub(super) fn unbroken(&self) -> Result<(), CollectiveError> {
        if self.losses.is_empty() { Ok(()) } else { Err(self.verdict(&[])) }
    }

    /// Waits for the rest. `own` is how the coordinator itself failed, if it did. The values are in order of position.
    pub(super) fn finish(mut self, own: Option<RankFailure>) -> Result<Delivered, CollectiveError> {
        loop {
            self.sweep();
            if self.pending.is_empty() || !self.losses.is_empty() {
                break;
            }
            self.keep_alive_if(|| true);
            self.block();
        }
        let own: Vec<_> = own.map(|failure| (self.link.coordinator, failure)).into_iter().collect();
        if self.losses.is_empty() && self.failures.is_empty() && own.is_empty() {
            self.values.sort_unstable_by_key(|(position, _)| *position);
            return Ok(self.values);
        }
        Err(self.verdict(&own))
    }

    /// Receives all that is here, without waiting, and gives up on the ranks that were silent for too long.
    fn sweep(&mut self) {
        let now = Instant::now();
        let patience = self.link.patience.for_rank();
        let mut index = 0;
        while let Some(Pending { position, .. }) = self.pending.get(index) {
            let position = *position;
            match self.look(index, now) {
                Looked::Delivered | Looked::KeptAlive => continue, // another rank is at this index, or more is here
                Looked::Nothing => {}
            }
            let waited = self.pending.get(index).map_or(patience, |rank| now.saturating_duration_since(rank.heard));
            if waited >= patience {
                let rank = self.link.label(position);
                let silent = CollectiveError::Silent { rank, step: self.step.name, waited };
                self.losses.push((position, silent));
                self.pending.swap_remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// Waits for one rank after the other, for one slice in all. The order does not matter, since all have to deliver.
    fn block(&mut self) {
        let until = after(Instant::now(), self.link.patience.slice(self.link.collective.size()));
        while let Some(last) = self.pending.len().checked_sub(1) {
            if matches!(self.look(last, until), Looked::Nothing) || !self.losses.is_empty() {
                break;
            }
        }
    }

    /// Receives one message of the pending rank at `index`, which ceases to be pending if it was the one waited for.
    fn look(&mut self, index: usize, until: Instant) -> Looked {
        let position = self.pending[index].position;
        match self.link.receive(self.step, position, until) {
            Ok(None) => return Looked::Nothing,
            Ok(Some(Incoming::KeepAlive)) => {
                self.pending[index].heard = Instant::now();
                return Looked::KeptAlive;
            }
            Ok(Some(Incoming::Value(frame))) => self.values.push((position, frame)),
            Ok(Some(Incoming::Verdict(CollectiveError::Failed { failures, .. }))) => {
                self.failures.extend(failures.into_iter().map(|failure| (position, failure)));
            }
            Ok(Some(Incoming::Verdict(error))) | Err(error) => self.losses.push((position, error)),
        }
        self.pending.swap_remove(index);
        self.waiting.push(position);
        Looked::Delivered
    }

    fn keep_alive_if(&mut self, moved: impl FnOnce() -> bool) {
        let now = Instant::now();
        if now >= self.next_keep_alive {
            self.next_keep_alive = after(now, self.link.patience.tick());
            if moved() {
                self.link.keep_alive(self.step, self.waiting.iter().copied());
            }
        }
    }

    /// One loss speaks for itself; several, or a loss beside failures, are listed.
    fn verdict(&self, own: &[(usize, RankFailure)]) -> CollectiveError {
        if let ([], [], [(_, only)]) = (own, self.failures.as_slice(), self.losses.as_slice()) {
            return only.clone();
        }
        let mut all: Vec<(usize, RankFailure)> = [own, &self.failures].concat();
        for (position, loss) in &self.losses {
            // Who is lost, which need not be who told of it.
            let rank = loss.ranks().first().copied().unwrap_or_else(|| self.link.label(*position));
            all.push((*position, RankFailure::of(rank, loss)));
        }
        all.sort_by_key(|(position, _)| *position);
        let failures = all.into_iter().map(|(_, failure)| failure).collect();
        CollectiveError::Failed { step: self.step.name, failures }
    }
}
