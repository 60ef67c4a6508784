//! Ranks that are threads of one process.

mod mailbox;
mod offers;

use std::any::Any;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use self::mailbox::Mailbox;
use self::offers::Offers;
use crate::{Collective, CollectiveError, Departure, Tag, TagSource};

/// Makes collectives whose ranks are threads of this process: for programs with one thread per device, and for tests.
#[derive(Debug)]
pub struct ThreadGroup;

impl ThreadGroup {
    /// The handles of `size` ranks, in order of position, to be moved into threads.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use dcp_collective::{Collective, ThreadGroup};
    ///
    /// let ranks = ThreadGroup::new(2);
    /// let tag = ranks[0].next_tag();
    /// ranks[0].send(1, tag, b"hello".to_vec())?;
    /// let message = ranks[1].recv(0, tag, Instant::now() + Duration::from_secs(60))?;
    /// assert_eq!(message, b"hello");
    /// # Ok::<(), dcp_collective::CollectiveError>(())
    /// ```
    #[allow(clippy::new_ret_no_self)] // there is no group apart from its ranks
    pub fn new(size: usize) -> Vec<ThreadRank> {
        let group = Arc::new(Group::new(size));
        (0..size).map(|rank| ThreadRank::new(rank, Arc::clone(&group))).collect()
    }

    /// Runs `body` as each of `size` ranks, on threads of their own, and returns what they returned, in order of
    /// position; for a rank that panicked, what it panicked with.
    ///
    /// The threads end before this returns, so `body` may borrow.
    ///
    /// ```
    /// use dcp_collective::{Collective, ThreadGroup};
    ///
    /// let names = ["a", "b", "c"];
    /// let seen = ThreadGroup::run(3, |rank| names[rank.rank()]);
    /// let seen: Vec<&str> = seen.into_iter().map(|name| name.expect("no rank panicked")).collect();
    /// assert_eq!(seen, names);
    /// ```
    pub fn run<R: Send>(size: usize, body: impl Fn(ThreadRank) -> R + Sync) -> Vec<thread::Result<R>> {
        let body = &body;
        thread::scope(|scope| {
            let threads: Vec<_> = Self::new(size).into_iter().map(|rank| scope.spawn(move || body(rank))).collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
        })
    }

    /// The one rank of a group of one.
    pub(crate) fn only() -> ThreadRank {
        ThreadRank::new(0, Arc::new(Group::new(1)))
    }
}

/// One rank of a [`ThreadGroup`].
///
/// When it is dropped the rank is gone: whoever waits for it learns at once whether its thread panicked or just left.
#[derive(Debug)]
pub struct ThreadRank {
    rank: usize,
    group: Arc<Group>,
    tags: TagSource,
}

/// What the ranks share.
#[derive(Debug)]
struct Group {
    mailboxes: Vec<Mailbox>,
    offers: Offers,
}

impl Group {
    fn new(size: usize) -> Self {
        Self { mailboxes: (0..size).map(|_| Mailbox::new(size)).collect(), offers: Offers::default() }
    }
}

impl ThreadRank {
    fn new(rank: usize, group: Arc<Group>) -> Self {
        Self { rank, group, tags: TagSource::new() }
    }

    fn check(&self, position: usize) -> Result<&Mailbox, CollectiveError> {
        let size = self.group.mailboxes.len();
        self.group.mailboxes.get(position).ok_or(CollectiveError::NoSuchRank { position, size })
    }
}

impl Collective for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.group.mailboxes.len()
    }

    fn send(&self, to: usize, tag: Tag, message: Vec<u8>) -> Result<(), CollectiveError> {
        let put = self.check(to)?.put(self.rank, to, tag, message);
        put.map_err(|why| CollectiveError::Gone { rank: self.label(to), why })
    }

    fn recv(&self, from: usize, tag: Tag, until: Instant) -> Result<Vec<u8>, CollectiveError> {
        self.check(from)?;
        let rank = self.label(from);
        match self.group.mailboxes[self.rank].take(from, tag, until) {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(CollectiveError::TimedOut { rank }),
            Err(why) => Err(CollectiveError::Gone { rank, why }),
        }
    }

    fn tags(&self) -> &TagSource {
        &self.tags
    }

    fn in_common(&self, tag: Tag, offer: Arc<dyn Any + Send + Sync>) -> Arc<dyn Any + Send + Sync> {
        self.group.offers.get(tag, offer)
    }

    fn close(&self, tag: Tag) {
        self.group.mailboxes[self.rank].clear(tag);
    }
}

impl Drop for ThreadRank {
    fn drop(&mut self) {
        let why = if thread::panicking() { Departure::Panicked } else { Departure::Left };
        for mailbox in self.group.mailboxes.iter() {
            mailbox.note_departure(self.rank, why);
        }
        self.group.mailboxes[self.rank].clear_all();
    }
}
