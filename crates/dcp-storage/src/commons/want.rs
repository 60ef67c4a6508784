//! Who wants a part.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Instant, timeout_at};

use super::part::Next;
use super::{Commons, Errand, Lent, Member, Place};

/// One rank's wish for bytes of a part, until it is dropped.
#[derive(Debug)]
pub(crate) struct Want {
    member: Arc<Member>,
    place: Place,
    range: Range<u64>,
    alone: u64,
}

/// What a rank that wants bytes does to have them.
#[derive(Debug)]
pub(crate) enum Turn {
    /// They are here.
    Take(Arc<Lent>),
    /// It reads them, for all.
    Read(Errand),
    /// It reads what it needs by itself, for itself.
    Alone,
}

impl Want {
    /// Says that a rank wants bytes of a part, all of which lie in the part: from one place in the file to another. By itself it would read
    /// `alone` bytes for them.
    pub(crate) fn new(member: &Arc<Member>, place: Place, range: Range<u64>, alone: u64) -> Self {
        member.commons.lock().want(&place, &range, alone);
        Self { member: Arc::clone(member), place, range, alone }
    }

    /// Which bytes of the file those are.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Waits until there is something to be done about them, but not for ever.
    pub(crate) async fn turn(self) -> Turn {
        let deadline = Instant::now() + Commons::PATIENCE;
        loop {
            let member = Arc::clone(&self.member);
            let mut changed = std::pin::pin!(member.commons.changed.notified());
            changed.as_mut().enable();
            let next = member.commons.lock().next(&self.place, &self.range);
            match next {
                Next::Take(lent) => return Turn::Take(lent),
                Next::Read(range, memory) => return Turn::Read(Errand::new(self, range, memory)),
                Next::GoAlone => return Turn::Alone,
                Next::Wait if member.is_alone.load(Ordering::Relaxed) => return Turn::Alone,
                Next::Wait if timeout_at(deadline, changed).await.is_err() => {
                    member.is_alone.store(true, Ordering::Relaxed);
                }
                Next::Wait => {}
            }
        }
    }

    pub(super) fn commons(&self) -> &Arc<Commons> {
        &self.member.commons
    }

    /// The part.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        let commons = self.commons();
        let (unwanted, is_news) = commons.lock().withdraw(&self.place, self.alone);
        drop(unwanted);
        if is_news {
            commons.changed.notify_waiters();
        }
    }
}
