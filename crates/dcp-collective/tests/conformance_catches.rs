//! The suite proves something only if it fails: each of these collectives breaks one clause, and that clause's check
//! catches it, no other but where one clause needs the other.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dcp_collective::conformance::{CLAUSES, Harness};
use dcp_collective::{Collective, CollectiveError, Tag, TagSource, ThreadGroup, ThreadRank};

/// How a collective is broken.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Delivers the latest message first.
    Reorders,
    /// Keeps 16 bits of a tag, as a transport with small tags would.
    ShortensTags,
    /// Takes a message from whoever sent one.
    MixesSenders,
    DropsEmptyMessages,
    /// Cuts messages at a MiB.
    Truncates,
    /// Flips a bit far into a message.
    Corrupts,
    DropsMessagesToItself,
    /// Waits until a large message is received.
    SendsInStep,
    /// Waits longer than it was told to.
    OverrunsDeadlines,
    /// Forgets what a rank sent when it leaves.
    ForgetsTheDeparted,
    /// Does not notice that a rank left.
    WaitsForTheDeparted,
    /// Holds a lock while it waits.
    LocksWhileReceiving,
    /// Draws other tags on other ranks.
    DisagreesOnTags,
    /// Closes all tags at once.
    ClosesEverything,
    /// Counts positions around.
    WrapsPositions,
    /// Gives all ranks one name.
    RepeatsLabels,
    /// Has one object for all tags.
    SharesAcrossTags,
}

/// What arrived and was not delivered yet.
type Kept = HashMap<(usize, Tag), Vec<Vec<u8>>>;

struct Broken {
    inner: ThreadRank,
    fault: Fault,
    lock: Mutex<()>,
    tags: TagSource,
    kept: Mutex<Kept>,
    closed: Mutex<bool>,
}

impl Broken {
    fn new(inner: ThreadRank, fault: Fault) -> Self {
        let tags = TagSource::new();
        if fault == Fault::DisagreesOnTags {
            for _ in 0..inner.rank() {
                tags.draw();
            }
        }
        Self { inner, fault, lock: Mutex::default(), tags, kept: Mutex::default(), closed: Mutex::new(false) }
    }

    fn tag(&self, tag: Tag) -> Tag {
        if self.fault == Fault::ShortensTags { Tag::new(tag.get() & 0xffff) } else { tag }
    }

    fn position(&self, position: usize) -> usize {
        if self.fault == Fault::WrapsPositions { position % self.size() } else { position }
    }
}

impl Collective for Broken {
    fn rank(&self) -> usize {
        self.inner.rank()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn label(&self, position: usize) -> u32 {
        if self.fault == Fault::RepeatsLabels { 0 } else { self.inner.label(position) }
    }

    fn send(&self, to: usize, tag: Tag, mut message: Vec<u8>) -> Result<(), CollectiveError> {
        let large = message.len() > MIB;
        match self.fault {
            Fault::DropsEmptyMessages if message.is_empty() => return Ok(()),
            Fault::DropsMessagesToItself if to == self.rank() => return Ok(()),
            Fault::Truncates => message.truncate(MIB),
            Fault::Corrupts if large => message[5 * MIB] ^= 1,
            Fault::LocksWhileReceiving => drop(self.lock.lock().expect("no panic")),
            _ => {}
        }
        let to = self.position(to);
        self.inner.send(to, self.tag(tag), message)?;
        if self.fault == Fault::SendsInStep && large {
            self.inner.recv(to, RECEIVED, Instant::now() + 4 * PATIENCE)?;
        }
        Ok(())
    }

    fn recv(&self, from: usize, tag: Tag, until: Instant) -> Result<Vec<u8>, CollectiveError> {
        let (from, tag) = (self.position(from), self.tag(tag));
        match self.fault {
            Fault::Reorders => {
                let latest = {
                    let mut kept = self.kept.lock().expect("no panic");
                    let kept = kept.entry((from, tag)).or_default();
                    while let Ok(message) = self.inner.recv(from, tag, Instant::now()) {
                        kept.push(message);
                    }
                    kept.pop()
                };
                latest.map_or_else(|| self.inner.recv(from, tag, until), Ok)
            }
            Fault::MixesSenders => (0..self.size())
                .find_map(|other| self.inner.recv(other, tag, Instant::now()).ok())
                .map_or_else(|| self.inner.recv(from, tag, until), Ok),
            Fault::SendsInStep => {
                let message = self.inner.recv(from, tag, until)?;
                if message.len() > MIB {
                    self.inner.send(from, RECEIVED, Vec::new())?;
                }
                Ok(message)
            }
            // On one rank only: were all like this, nobody could free the others.
            Fault::OverrunsDeadlines if self.rank() == 0 => self.inner.recv(from, tag, until + 4 * PATIENCE),
            Fault::ForgetsTheDeparted => {
                // Whether a rank is there is asked under a tag that nobody uses.
                match self.inner.recv(from, UNUSED, Instant::now()) {
                    Err(gone @ CollectiveError::Gone { .. }) => Err(gone),
                    _ => self.inner.recv(from, tag, until),
                }
            }
            Fault::WaitsForTheDeparted => match self.inner.recv(from, tag, until) {
                Err(CollectiveError::Gone { rank, .. }) => {
                    let _ = self.inner.recv(self.rank(), UNUSED, until); // nothing ever comes
                    Err(CollectiveError::TimedOut { rank })
                }
                other => other,
            },
            Fault::RepeatsLabels => self.inner.recv(from, tag, until).map_err(|error| match error {
                CollectiveError::Gone { why, .. } => CollectiveError::Gone { rank: 0, why },
                CollectiveError::TimedOut { .. } => CollectiveError::TimedOut { rank: 0 },
                other => other,
            }),
            Fault::LocksWhileReceiving => {
                let _held = self.lock.lock().expect("no panic");
                self.inner.recv(from, tag, until)
            }
            _ if *self.closed.lock().expect("no panic") => self.inner.recv(from, UNUSED, until),
            _ => self.inner.recv(from, tag, until),
        }
    }

    fn tags(&self) -> &TagSource {
        &self.tags
    }

    fn in_common(&self, tag: Tag, offer: Arc<dyn Any + Send + Sync>) -> Arc<dyn Any + Send + Sync> {
        let tag = if self.fault == Fault::SharesAcrossTags { UNUSED } else { tag };
        self.inner.in_common(tag, offer)
    }

    fn close(&self, tag: Tag) {
        *self.closed.lock().expect("no panic") = self.fault == Fault::ClosesEverything;
        self.inner.close(tag);
    }
}

/// The checks that fail on a collective with this fault.
fn caught(fault: Fault) -> HashSet<&'static str> {
    let run = |size: usize, body: &(dyn Fn(&dyn Collective) + Sync)| {
        for rank in ThreadGroup::run(size, |rank| body(&Broken::new(rank, fault))) {
            rank.expect("checks do not panic");
        }
    };
    let harness = Harness::new(&run).with_deadline(PATIENCE);
    // An exchange builds on all the others, so that any fault may reach it.
    let clauses = CLAUSES.iter().filter(|(name, _)| fault == Fault::None || *name != "an_exchange_runs");
    let failed = clauses.filter(|(name, check)| match check(&harness) {
        Ok(()) => false,
        Err(violation) => {
            assert_eq!(violation.clause, *name);
            true
        }
    });
    failed.map(|(name, _)| *name).collect()
}

macro_rules! each_is_caught {
    ($($test:ident: $fault:ident => [$($clause:literal),*];)*) => {
        $(
            #[test]
            fn $test() {
                assert_eq!(caught(Fault::$fault), HashSet::from([$($clause),*]));
            }
        )*
    };
}

each_is_caught! {
    nothing: None => [];
    reordering: Reorders => ["messages_keep_their_order"];
    short_tags: ShortensTags => ["tags_are_kept_apart"];
    mixed_senders: MixesSenders => ["senders_are_kept_apart"];
    dropped_empty_messages: DropsEmptyMessages => ["an_empty_message_arrives"];
    truncation: Truncates => ["a_large_message_arrives_whole"];
    corruption: Corrupts => ["a_large_message_arrives_whole"];
    no_messages_to_oneself: DropsMessagesToItself => ["a_message_to_oneself_arrives"];
    sending_in_step: SendsInStep => ["sending_does_not_wait"];
    overrun_deadlines: OverrunsDeadlines => ["receiving_ends_at_its_deadline"];
    forgotten_messages: ForgetsTheDeparted => ["messages_outlive_their_sender"];
    // Each looks at a departure from its own side.
    unnoticed_departures: WaitsForTheDeparted => ["messages_outlive_their_sender", "a_departure_wakes_receivers"];
    a_lock_held: LocksWhileReceiving => ["threads_do_not_hold_each_other_up"];
    disagreeing_tags: DisagreesOnTags => ["tags_agree_and_never_repeat"];
    closing_everything: ClosesEverything => ["closing_a_tag_spares_the_others"];
    wrapped_positions: WrapsPositions => ["positions_out_of_range_are_refused"];
    repeated_labels: RepeatsLabels => ["positions_and_labels_are_distinct"];
    one_object_for_all_tags: SharesAcrossTags => ["objects_in_common_keep_to_their_tag"];
}

/// How long a check waits for what never comes.
const PATIENCE: Duration = Duration::from_secs(1);
const MIB: usize = 1 << 20;
const RECEIVED: Tag = Tag::new(u64::MAX);
const UNUSED: Tag = Tag::new(u64::MAX - 1);
