//! One piece of work at a store: how often it was tried, for how long, and what became of it.
//!
//! Attempts are made below `object_store`, where requests are ([`Persistent`](crate::connect::persistent)), so that all of them are made by the
//! same rule, are counted, and show whether an answer was lost. What is known of them reaches the top through the task.

use std::error::Error;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How often and how long something is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) attempts: u32,
    /// How long there may be no answer.
    pub(crate) stall: Duration,
    /// How long all attempts may take together.
    pub(crate) deadline: Duration,
}

/// Work that came to no good end.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// Of the request that failed.
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    /// There was a request that the store may have acted on, though it did not say so.
    pub(crate) unanswered: bool,
    /// The request asked for credentials.
    pub(crate) for_credentials: bool,
    /// The store said that who asks may not. (Of some requests its client does not say so.)
    pub(crate) denied: bool,
}

#[derive(Debug)]
pub(crate) enum Cause {
    /// The store says no.
    Answer(object_store::Error),
    /// It failed in a way that might have passed, as often as may be.
    Exhausted(object_store::Error),
    /// It took too long.
    Deadline,
}

/// Does work that consists of requests, with patience.
pub(crate) async fn ask<T>(
    patience: Patience,
    work: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Failure> {
    let tries = Arc::new(Tries::new(patience));
    let cause = match timeout(patience.deadline, TRIES.scope(Arc::clone(&tries), work)).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(fault)) if tries.exhausted.load(Ordering::Relaxed) => Cause::Exhausted(fault),
        Ok(Err(fault)) => Cause::Answer(fault),
        Err(_) => Cause::Deadline,
    };
    Err(Failure {
        attempts: tries.made.load(Ordering::Relaxed).max(1),
        elapsed: tries.begun.elapsed(),
        unanswered: matches!(cause, Cause::Deadline) || tries.unanswered.load(Ordering::Relaxed),
        for_credentials: tries.for_credentials.load(Ordering::Relaxed),
        denied: tries.denied.load(Ordering::Relaxed),
        cause,
    })
}

impl Failure {
    /// There is no such object, or upload.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(&self.cause, Cause::Answer(object_store::Error::NotFound { .. })) || self.is_below_object()
    }

    /// There is an object where a directory would have to be: what is made of directories says that of what cannot be there.
    pub(crate) fn is_below_object(&self) -> bool {
        let Cause::Answer(fault) = &self.cause else { return false };
        let mut causes = std::iter::successors(fault.source(), |&cause| cause.source());
        causes.any(|cause| {
            cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::NotADirectory)
        })
    }

    /// The state of the object is not the one that was required.
    pub(crate) fn is_refused(&self) -> bool {
        use object_store::Error::{AlreadyExists, NotModified, Precondition};
        matches!(&self.cause, Cause::Answer(AlreadyExists { .. } | Precondition { .. } | NotModified { .. }))
    }

    /// The store does not like the request, or has failed, for a reason that `object_store` has no word for.
    pub(crate) fn is_nameless(&self) -> bool {
        matches!(&self.cause, Cause::Answer(object_store::Error::Generic { .. }))
    }

    /// Nobody can tell from the answer whether the store has acted: look.
    pub(crate) fn may_have_happened(&self) -> bool {
        self.unanswered || self.is_nameless()
    }

    /// The store cannot do this at all.
    pub(crate) fn is_impossible(&self) -> bool {
        use object_store::Error::{NotImplemented, NotSupported};
        matches!(&self.cause, Cause::Answer(NotImplemented { .. } | NotSupported { .. }))
    }
}

/// Why something failed, in words.
pub(crate) fn reason(failure: Failure) -> String {
    match failure.cause {
        Cause::Answer(fault) | Cause::Exhausted(fault) => fault.to_string(),
        Cause::Deadline => "it took too long".to_owned(),
    }
}

/// The pause before the next attempt, after so many: about twice as long each time, and no two alike.
pub(crate) async fn pause(attempts: u32) {
    let longest = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    sleep(longest / 2 + longest.mul_f64(fastrand::f64() / 2.0)).await;
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

tokio::task_local! {
    static TRIES: Arc<Tries>;
}

/// The attempts of one piece of work.
#[derive(Debug)]
pub(crate) struct Tries {
    patience: Patience,
    begun: Instant,
    made: AtomicU32,
    unanswered: AtomicBool,
    exhausted: AtomicBool,
    for_credentials: AtomicBool,
    denied: AtomicBool,
}

#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
impl Tries {
    /// Those of the work that is being done.
    pub(crate) fn current() -> Arc<Self> {
        TRIES.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Self::new(crate::Traffic::default().patience())))
    }

    /// Another request of the same work.
    pub(crate) fn begin(&self, for_credentials: bool) {
        self.made.store(0, Ordering::Relaxed);
        self.for_credentials.store(for_credentials, Ordering::Relaxed);
    }

    /// Another attempt; how long it may take. One that carries much may take longer, but not all of the time.
    pub(crate) fn attempt(&self, carries: usize) -> Duration {
        self.made.fetch_add(1, Ordering::Relaxed);
        if carries > 1 << 20 { self.patience.stall.max(self.patience.deadline / 2) } else { self.patience.stall }
    }

    /// The store may have acted on what it has not answered.
    pub(crate) fn lose(&self) {
        self.unanswered.store(true, Ordering::Relaxed);
    }

    /// The store says that who asks may not.
    pub(crate) fn deny(&self) {
        self.denied.store(true, Ordering::Relaxed);
    }

    /// Waits for the next attempt, if there is to be one.
    pub(crate) async fn again(&self) -> bool {
        let made = self.made.load(Ordering::Relaxed);
        // Where credentials are looked for there may be nobody at all.
        let most = if self.for_credentials.load(Ordering::Relaxed) {
            self.patience.attempts.min(2)
        } else {
            self.patience.attempts
        };
        let go_on = made < most;
        if go_on {
            pause(made).await;
        } else {
            self.exhausted.store(true, Ordering::Relaxed);
        }
        go_on
    }
}

impl Tries {
    fn new(patience: Patience) -> Self {
        Self {
            patience,
            begun: Instant::now(),
            made: AtomicU32::new(0),
            unanswered: AtomicBool::new(false),
            exhausted: AtomicBool::new(false),
            for_credentials: AtomicBool::new(false),
            denied: AtomicBool::new(false),
        }
    }
}
