//! The connection of one rank to the others during one exchange.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::frame::{Frame, Kind, Step, encode, header};
use super::patience::Patience;
use super::verdict::Verdict;
use crate::{Collective, CollectiveError, StepError, Tag};

pub(super) struct Link<'a> {
    pub(super) collective: &'a dyn Collective,
    pub(super) tag: Tag,
    pub(super) coordinator: usize,
    pub(super) patience: Patience,
    /// Whether the others know that the exchange failed, so that they are told once.
    told: AtomicBool,
}

/// What came from a rank.
pub(super) enum Incoming {
    KeepAlive,
    Value(Frame),
    Verdict(CollectiveError),
}

impl<'a> Link<'a> {
    pub(super) fn new(collective: &'a dyn Collective, tag: Tag, coordinator: usize, patience: Patience) -> Self {
        Self { collective, tag, coordinator, patience, told: AtomicBool::new(false) }
    }

    pub(super) fn is_coordinator(&self) -> bool {
        self.collective.rank() == self.coordinator
    }

    pub(super) fn is_alone(&self) -> bool {
        self.collective.size() <= 1
    }

    /// The label of this rank.
    pub(super) fn me(&self) -> u32 {
        self.label(self.collective.rank())
    }

    pub(super) fn label(&self, position: usize) -> u32 {
        self.collective.label(position)
    }

    /// All positions but this rank's.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let me = self.collective.rank();
        (0..self.collective.size()).filter(move |&position| position != me)
    }

    pub(super) fn encode<T: Serialize>(&self, step: Step, value: &T) -> Result<Vec<u8>, CollectiveError> {
        encode(Kind::Value, step, value)
            .map_err(|error| CollectiveError::Unencodable { step: step.name, what: error.to_string() })
    }

    /// Sends a message. That the receiver is gone is no error here: what it left behind is read first, and may well say
    /// why; who still needs it will find it gone.
    pub(super) fn send(&self, to: usize, message: Vec<u8>) -> Result<(), CollectiveError> {
        match self.collective.send(to, self.tag, message) {
            Err(CollectiveError::Gone { .. }) => Ok(()),
            sent => sent,
        }
    }

    /// Lets others know that this rank is there. What cannot be sent now is noticed with the next real message.
    pub(super) fn keep_alive(&self, step: Step, to: impl IntoIterator<Item = usize>) {
        for position in to {
            let _ = self.send(position, header(Kind::KeepAlive, step));
        }
    }

    /// Receives one message; none when nothing came until `until`.
    pub(super) fn receive(&self, step: Step, from: usize, until: Instant) -> Result<Option<Incoming>, CollectiveError> {
        let message = match self.collective.recv(from, self.tag, until) {
            Ok(message) => message,
            Err(CollectiveError::TimedOut { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let frame = Frame::parse(message).map_err(|what| self.malformed(step, from, &what))?;
        match frame.kind {
            Kind::KeepAlive => Ok(Some(Incoming::KeepAlive)),
            // A rank may give up at any time, so its word counts whatever the step.
            Kind::Failure => {
                let verdict: Verdict = frame.decode().map_err(|what| self.malformed(step, from, &what))?;
                Ok(Some(Incoming::Verdict(verdict.into_error(step))))
            }
            Kind::Value if frame.belongs_to(step) => Ok(Some(Incoming::Value(frame))),
            Kind::Value => Err(CollectiveError::Diverged { rank: self.label(from), step: step.name }),
        }
    }

    pub(super) fn malformed(&self, step: Step, from: usize, what: &dyn std::fmt::Display) -> CollectiveError {
        CollectiveError::Malformed { rank: self.label(from), step: step.name, what: what.to_string() }
    }

    /// Tells those who have to know that the exchange failed, the first time that this is called: the coordinator tells
    /// everybody, the others tell the coordinator. Does not wait for anybody.
    pub(super) fn condemn(&self, step: Step, error: &CollectiveError) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        // A verdict is made of strings and numbers, which always encode.
        let Ok(message) = encode(Kind::Failure, step, &Verdict::of(self.me(), error)) else { return };
        if self.is_coordinator() {
            for position in self.others() {
                let _ = self.send(position, message.clone());
            }
        } else {
            let _ = self.send(self.coordinator, message);
        }
    }

    /// Notes that nobody has to be told: the coordinator said so itself.
    pub(super) fn heard_verdict(&self) {
        self.told.store(true, Ordering::Relaxed);
    }
}

/// What a monitor does next.
pub(super) type Watch = ControlFlow<()>;

/// The failure of this rank as the others are told.
pub(super) fn own_failure<E: crate::WireError>(link: &Link<'_>, step: Step, own: &E) -> CollectiveError {
    CollectiveError::Failed { step: step.name, failures: vec![crate::RankFailure::of(link.me(), own)] }
}

impl<E: crate::WireError> StepError<E> {
    /// The error as it is for the exchange: without its type.
    pub(super) fn as_collective(&self, link: &Link<'_>, step: Step) -> CollectiveError {
        match self {
            Self::Own(own) => own_failure(link, step, own),
            Self::Collective(error) => error.clone(),
        }
    }
}
