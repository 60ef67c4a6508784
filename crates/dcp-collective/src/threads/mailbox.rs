//! Where the messages for one rank lie until it takes them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::{Departure, Tag};

#[derive(Debug)]
pub(super) struct Mailbox {
    inbox: Mutex<Inbox>,
    /// Notified whenever something comes in or somebody goes.
    changed: Condvar,
}

#[derive(Debug)]
struct Inbox {
    /// By tag, then by sender, so that a tag is closed in one go. No entry is ever empty.
    queues: HashMap<Tag, HashMap<usize, VecDeque<Vec<u8>>>>,
    /// Who is gone, by position.
    gone: Vec<Option<Departure>>,
}

impl Mailbox {
    pub(super) fn new(size: usize) -> Self {
        Self { inbox: Mutex::new(Inbox { queues: HashMap::new(), gone: vec![None; size] }), changed: Condvar::new() }
    }

    /// Puts a message in for the owner; an error says how the owner went.
    pub(super) fn put(&self, from: usize, owner: usize, tag: Tag, message: Vec<u8>) -> Result<(), Departure> {
        let mut inbox = self.lock();
        if let Some(why) = inbox.gone[owner] {
            return Err(why);
        }
        inbox.queues.entry(tag).or_default().entry(from).or_default().push_back(message);
        drop(inbox);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes the next message, waiting for it until `until`; none when the time is up; an error when nothing more can
    /// come, since the sender is gone.
    pub(super) fn take(&self, from: usize, tag: Tag, until: Instant) -> Result<Option<Vec<u8>>, Departure> {
        let mut inbox = self.lock();
        loop {
            if let Some(message) = inbox.pop(from, tag) {
                return Ok(Some(message));
            }
            if let Some(why) = inbox.gone[from] {
                return Err(why);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            inbox = self.changed.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn note_departure(&self, rank: usize, why: Departure) {
        self.lock().gone[rank] = Some(why);
        self.changed.notify_all();
    }

    pub(super) fn clear(&self, tag: Tag) {
        let dropped = self.lock().queues.remove(&tag);
        drop(dropped); // may be large: freed outside the lock
    }

    pub(super) fn clear_all(&self) {
        let dropped = std::mem::take(&mut self.lock().queues);
        drop(dropped);
    }

    /// Nothing panics while holding the lock, and a rank that panicked elsewhere must not take the others down.
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn pop(&mut self, from: usize, tag: Tag) -> Option<Vec<u8>> {
        let senders = self.queues.get_mut(&tag)?;
        let queue = senders.get_mut(&from)?;
        let message = queue.pop_front();
        if queue.is_empty() {
            senders.remove(&from);
            if senders.is_empty() {
                self.queues.remove(&tag);
            }
        }
        message
    }
}
