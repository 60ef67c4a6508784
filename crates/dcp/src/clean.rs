//! Removing what saves have left that came to no end.

use std::collections::BTreeSet;
use std::sync::Arc;

use dcp_storage::{Io, Leftover, Leftovers, Role, Store, StorePath};

use crate::formats::is_of_one_file;
use crate::{Error, Location, Opener};

/// Finds what saves have left that came to no end, in the directory of a checkpoint or in all below a place, and removes it.
///
/// A save that dies leaves data files to which no index refers, uploads that nobody will finish, and the claim under which it wrote. A later save
/// into the same directory removes them; where none comes, or room is short, this does. It removes nothing to which an index refers, nothing of which
/// it does not know that a save of this library has left it, and nothing of a save whose claim has not expired (a day after it began, or
/// after it last put something on record): it may be alive. What a slow save has written whose claim is removed
/// is never committed; it fails.
///
/// ```
/// use dcp::{Cleaner, MemoryStore, Precondition, Saver, StateDict, Store, StorePath};
/// let store = MemoryStore::new();
/// Saver::new().save_dict(&StateDict::new().with("step", 7), store.clone())?;
/// // What a save that has died leaves.
/// let half = StorePath::parse("__0_0.g1.distcp")?;
/// dcp::crates::dcp_storage::Io::new()?.block_on(store.publish(&half, b"half", Precondition::Absent))?;
///
/// let removed = Cleaner::new().remove(store)?;
/// assert_eq!(removed.found[0].path.as_str(), "__0_0.g1.distcp");
/// assert!(removed.found[0].kept.is_none());
/// # Ok::<(), dcp::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cleaner {
    opener: Opener,
    no_save_running: bool,
}

/// What was found below a place.
#[derive(Debug)]
#[non_exhaustive]
pub struct Cleaning {
    /// The place.
    pub location: String,
    /// What saves have left, by their paths from the place on; each says why it stays, if it does.
    pub found: Vec<Leftover>,
    /// What could not be looked into, by its path from the place on (empty if it is that place, or its unfinished uploads), and why. Nothing
    /// of it was removed.
    pub failed: Vec<(String, Error)>,
}

impl Cleaner {
    /// Leaves alone what may be a live save's.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with formats that are brought along.
    #[must_use]
    pub fn opener(mut self, opener: Opener) -> Self {
        self.opener = opener;
        self
    }

    /// Whether the caller knows that nobody saves below the place. Then claims are taken for abandoned that have not expired, and so are
    /// unfinished uploads of one-file formats, of which nothing tells how old they are. A save that runs nevertheless fails.
    #[must_use]
    pub fn no_save_running(mut self, certain: bool) -> Self {
        self.no_save_running = certain;
        self
    }

    /// What there is. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Storage`] if the place cannot be listed, [`Error::Location`].
    pub fn find(&self, at: impl Into<Location>) -> Result<Cleaning, Error> {
        self.clean(&at.into(), false)
    }

    /// Removes what may be removed.
    ///
    /// # Errors
    /// As [`find`](Self::find). What cannot be removed is told in [`Leftover::kept`].
    pub fn remove(&self, at: impl Into<Location>) -> Result<Cleaning, Error> {
        self.clean(&at.into(), true)
    }

    fn clean(&self, at: &Location, removes: bool) -> Result<Cleaning, Error> {
        let (store, io) = (at.store()?, Io::new()?);
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        // Who may not ask for uploads may still remove the rest.
        let uploads = io.block_on(store.unfinished()).unwrap_or_else(|error| {
            failed.push((String::new(), error.into()));
            Vec::new()
        });
        for directory in self.directories(&*store, &uploads, &io)? {
            let inner = match &directory {
                Some(path) => at.below(&store, path, false).store()?,
                None => Arc::clone(&store),
            };
            let leftovers = Leftovers::new(&*inner, self.opener.formats()).no_save_running(self.no_save_running);
            let outcome = if removes { io.block_on(leftovers.remove()) } else { io.block_on(leftovers.find()) };
            match outcome {
                Ok(left) => found.extend(left.into_iter().map(|mut part| {
                    if let Some(directory) = &directory {
                        part.path = directory.join(&part.path);
                    }
                    part
                })),
                Err(error) => failed.push((directory.map_or_else(String::new, String::from), error.into())),
            }
        }
        Ok(Cleaning { location: at.to_string(), found, failed })
    }

    /// The directories in which a save may have left something.
    fn directories(
        &self,
        store: &dyn Store,
        uploads: &[StorePath],
        io: &Io<'_>,
    ) -> Result<BTreeSet<Option<StorePath>>, Error> {
        let listing = io.block_on(store.list(None))?;
        let is_trace = |name: &StorePath| matches!(Role::of(name), Some(Role::Claim(_) | Role::Data(_)));
        let is_upload = |name: &StorePath| Role::of(name).is_some() || is_of_one_file(name, self.opener.formats());
        let within = |path: &StorePath, is_one: &dyn Fn(&StorePath) -> bool| {
            let (directory, name) = path.split();
            StorePath::parse(name).is_ok_and(|name| is_one(&name)).then_some(directory)
        };
        let traces = listing.iter().filter_map(|object| within(&object.path, &is_trace));
        Ok(traces.chain(uploads.iter().filter_map(|path| within(path, &is_upload))).collect())
    }
}
