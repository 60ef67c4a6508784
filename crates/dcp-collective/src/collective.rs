//! What a transport must provide.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use crate::{CollectiveError, Tag, TagSource};

/// One rank's handle on a group of ranks that send each other messages.
///
/// Only point-to-point messages are asked for, because a collective call (a barrier, an all-gather) cannot say who is
/// missing. [`Exchange`](crate::Exchange) builds the steps of a save or a load on top.
///
/// # Contract
///
/// Ranks are numbered by *position*, `0..size`. Every rank of the group has one handle; all have the same size, each
/// its own position.
///
/// * **Order.** Messages of one sender under one tag arrive in the order in which they were sent. Messages of different
///   senders, or under different tags, are independent: any of them can be received first. All 64 bits of a tag count.
/// * **Whole.** A message arrives once, whole and unchanged, whatever its length: zero and many MiB included. A rank may
///   send to itself.
/// * **Sending does not wait** for the receiver: two ranks that each send a large message and then receive must both get
///   on.
/// * **Threads.** Several threads may use one handle at once; one that waits in `recv` holds up neither sends nor
///   receives under other tags.
/// * **Departures.** Once a rank is gone (its handle was dropped, its process ended, the connection broke), receiving
///   from it returns [`CollectiveError::Gone`], at once, also for receivers that already wait, but only after all
///   messages that it sent under this tag were received.
/// * **In common.** What [`in_common`](Self::in_common) gives was offered under that tag, by this rank or another.
///
/// The suite in `conformance` (feature of the same name) has one check for each of these.
pub trait Collective: Send + Sync {
    /// The position of this rank, less than [`size`](Self::size).
    fn rank(&self) -> usize;

    /// How many ranks there are, at least 1 and at most `u32::MAX`.
    fn size(&self) -> usize;

    /// The name that the rank at `position` has in meshes, file names and errors. Names of different positions differ.
    ///
    /// The same as the position everywhere but in a [`Subgroup`](crate::Subgroup), which keeps its parent's names.
    fn label(&self, position: usize) -> u32 {
        u32::try_from(position).unwrap_or(u32::MAX)
    }

    /// Sends `message` to the rank at position `to`, without waiting for it.
    ///
    /// # Errors
    ///
    /// [`CollectiveError::NoSuchRank`] when `to` is out of range; [`CollectiveError::Gone`] when the receiver is known
    /// to be gone (a transport that cannot know this may drop the message instead); [`CollectiveError::Transport`] for
    /// everything else.
    fn send(&self, to: usize, tag: Tag, message: Vec<u8>) -> Result<(), CollectiveError>;

    /// Receives the next message that the rank at position `from` sent under `tag`, waiting for it until `until`.
    ///
    /// An `until` in the past polls: a message that is already here is returned, and nothing is waited for.
    ///
    /// # Errors
    ///
    /// [`CollectiveError::TimedOut`] when nothing came until `until`; [`CollectiveError::Gone`] when nothing more can
    /// come; [`CollectiveError::NoSuchRank`] when `from` is out of range; [`CollectiveError::Transport`] for everything
    /// else.
    fn recv(&self, from: usize, tag: Tag, until: Instant) -> Result<Vec<u8>, CollectiveError>;

    /// Where this rank draws its tags: one [`TagSource`] that the handle owns, never shared with another rank's handle.
    fn tags(&self) -> &TagSource;

    /// A tag that all ranks agree on without talking, because all draw theirs in the same order.
    ///
    /// Whoever works with several threads draws the tags in an agreed order first and hands them to the threads.
    fn next_tag(&self) -> Tag {
        self.tags().draw()
    }

    /// Gives the ranks that are threads of one process the same object under a tag: what the first of them offers. For what makes their work
    /// cheaper, not for what it needs: by default, and where ranks are processes, everybody gets what they offer.
    ///
    /// Whoever asks while another rank still holds the object gets that one. [`Exchange::in_common`](crate::Exchange::in_common) knows the type.
    fn in_common(&self, tag: Tag, offer: Arc<dyn Any + Send + Sync>) -> Arc<dyn Any + Send + Sync> {
        let _ = tag;
        offer
    }

    /// Tells the transport that this rank will receive nothing more under `tag`, so that it can free what still lies
    /// there. Messages under other tags stay untouched. Does nothing by default.
    fn close(&self, tag: Tag) {
        let _ = tag;
    }
}
