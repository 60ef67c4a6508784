//! Some ranks of a larger collective.

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use crate::{Collective, CollectiveError, Tag, TagSource};

/// A collective of some of the ranks of another, such as one pipeline stage or one replica.
///
/// Positions count from 0 within the group; labels stay those of the parent, so that files, meshes and errors name the
/// same rank by the same name everywhere. Its messages never meet those of the parent or of another group (see
/// [`TagSource`]); groups of groups work the same way.
///
/// ```
/// use std::time::Duration;
/// use dcp_collective::{Collective, CollectiveError, Exchange, Subgroup, ThreadGroup};
///
/// ThreadGroup::run(4, |rank| {
///     let Some(odd) = Subgroup::new(&rank, [1, 3])? else { return Ok(()) };
///     assert_eq!(odd.label(odd.rank()) as usize, rank.rank());
///     let mut exchange = Exchange::new(&odd, 0, Duration::from_secs(60))?;
///     exchange.barrier("both here")?;
///     exchange.finish();
///     Ok::<(), CollectiveError>(())
/// });
/// ```
#[derive(Debug)]
pub struct Subgroup<'a> {
    parent: Parent<'a>,
    members: Vec<usize>,
    rank: usize,
    tags: TagSource,
}

impl<'a> Subgroup<'a> {
    /// The group of the ranks at these positions of `parent`, in this order; none when this rank is not among them.
    ///
    /// All members call this with the same list, and in the same order when they make several groups of one list. The
    /// other ranks need not call it.
    ///
    /// # Errors
    ///
    /// [`CollectiveError::NoSuchRank`] and [`CollectiveError::MemberTwice`] when the list is no list of members.
    pub fn new(parent: &'a dyn Collective, members: impl Into<Vec<usize>>) -> Result<Option<Self>, CollectiveError> {
        let members = members.into();
        let size = parent.size();
        let mut seen = HashSet::with_capacity(members.len());
        for &position in &members {
            if position >= size {
                return Err(CollectiveError::NoSuchRank { position, size });
            }
            if !seen.insert(position) {
                return Err(CollectiveError::MemberTwice { position });
            }
        }
        let Some(rank) = members.iter().position(|&member| member == parent.rank()) else { return Ok(None) };
        let tags = parent.tags().for_group(&members);
        Ok(Some(Self { parent: Parent(parent), members, rank, tags }))
    }

    fn in_parent(&self, position: usize) -> Result<usize, CollectiveError> {
        let size = self.members.len();
        self.members.get(position).copied().ok_or(CollectiveError::NoSuchRank { position, size })
    }
}

impl Collective for Subgroup<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.members.len()
    }

    fn label(&self, position: usize) -> u32 {
        self.members.get(position).map_or(u32::MAX, |&member| self.parent.0.label(member))
    }

    fn send(&self, to: usize, tag: Tag, message: Vec<u8>) -> Result<(), CollectiveError> {
        self.parent.0.send(self.in_parent(to)?, tag, message)
    }

    fn recv(&self, from: usize, tag: Tag, until: Instant) -> Result<Vec<u8>, CollectiveError> {
        self.parent.0.recv(self.in_parent(from)?, tag, until)
    }

    fn tags(&self) -> &TagSource {
        &self.tags
    }

    fn in_common(&self, tag: Tag, offer: Arc<dyn Any + Send + Sync>) -> Arc<dyn Any + Send + Sync> {
        self.parent.0.in_common(tag, offer)
    }

    fn close(&self, tag: Tag) {
        self.parent.0.close(tag);
    }
}

/// The parent, in a form that can be printed.
#[derive(Clone, Copy)]
struct Parent<'a>(&'a dyn Collective);

impl std::fmt::Debug for Parent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.0.rank(), self.0.size())
    }
}
