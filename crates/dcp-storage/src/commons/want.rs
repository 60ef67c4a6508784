//! Who wants a part.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::timeout;

use super::part::{Next, Parts};
use super::{Commons, Errand, Lent, Member, Place};

/// One rank's wish for bytes of a part, until it is dropped.
#[derive(Debug)]
pub(crate) struct Want {
    member: Arc<Member>,
    place: Place,
    range: Range<u64>,
    alone: u64,
    /// Whether others still read for it.
    counts: bool,
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
        member.commons.lock().want(place, &range, alone);
        Self { member: Arc::clone(member), place, range, alone, counts: true }
    }

    /// Which bytes of the file those are.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Waits until there is something to be done about them, but no longer than others make progress.
    pub(crate) async fn turn(mut self) -> Turn {
        let commons = Arc::clone(self.commons());
        let mut waited = None;
        loop {
            let mut changed = std::pin::pin!(commons.changed.notified());
            changed.as_mut().enable();
            let _resting = match self.next(waited) {
                Next::Take(lent) => return Turn::Take(lent),
                Next::Read(range, memory) => return Turn::Read(Errand::new(self, range, memory)),
                Next::GoAlone => {
                    // Those who wait for memory may have nobody left to wait for.
                    commons.changed.notify_waiters();
                    return Turn::Alone;
                }
                Next::Wait => {
                    waited = None;
                    None
                }
                Next::WaitForMemory(given_up) => {
                    waited = Some(given_up);
                    Some(Resting(&commons))
                }
            };
            let has_waited_in_vain = &self.member.has_waited_in_vain;
            if has_waited_in_vain.load(Ordering::Relaxed) || timeout(Commons::PATIENCE, changed).await.is_err() {
                has_waited_in_vain.store(true, Ordering::Relaxed);
                return Turn::Alone;
            }
        }
    }

    /// What to do now. Who goes alone ceases to count in the same moment: others might else read for it what it reads by itself.
    pub(super) fn next(&mut self, waited: Option<u64>) -> Next {
        let commons = Arc::clone(self.commons());
        let mut parts = commons.lock();
        let next = parts.next(&self.member, self.place, &self.range, waited);
        let unwanted = matches!(next, Next::GoAlone).then(|| self.withdraw(&mut parts));
        drop(parts);
        drop(unwanted);
        next
    }

    /// Wants nothing any more; returns what [`Parts::withdraw`] does.
    fn withdraw(&mut self, parts: &mut Parts) -> (Option<Arc<Lent>>, bool) {
        if std::mem::take(&mut self.counts) { parts.withdraw(self.place, self.alone) } else { (None, false) }
    }

    pub(super) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    pub(super) fn commons(&self) -> &Arc<Commons> {
        &self.member.commons
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        let commons = Arc::clone(self.commons());
        let (unwanted, is_news) = self.withdraw(&mut commons.lock());
        drop(unwanted);
        if is_news {
            commons.changed.notify_waiters();
        }
    }
}

/// A task that waits for memory: when this is dropped, it is at work again.
struct Resting<'c>(&'c Commons);

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.lock().at_work += 1;
    }
}
