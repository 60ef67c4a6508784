//! The checkpoints below a place.

mod group;
mod natural;
mod snapshot;
mod step;

use std::sync::Arc;

use dcp_storage::{Format, Io, OneObject, StorageError, Store, StorePath, Strictness, Subdirectory};

use self::group::{Group, group};
use self::snapshot::Snapshot;
use crate::{Checkpoint, Error, Location, Opener};

/// The checkpoints below a place: a directory, a part of a bucket, any [`Store`].
///
/// The place is listed once; names tell where checkpoints are. Then the index of each is read, some at a time, and nothing else: of a
/// format that is one file only its first bytes.
///
/// ```
/// use dcp::{Catalog, CatalogState, MemoryStore, Saver, StateDict, StorePath, Subdirectory};
/// use std::sync::Arc;
///
/// let run: Arc<dyn dcp::Store> = Arc::new(MemoryStore::new());
/// for step in ["step-10", "step-9"] {
///     let place: Arc<dyn dcp::Store> = Arc::new(Subdirectory::new(run.clone(), StorePath::parse(step)?));
///     Saver::new().save_dict(&StateDict::new().with("step", 7), place)?;
/// }
/// let catalog = Catalog::of(run)?;
/// let steps: Vec<_> = catalog.checkpoints.iter().map(|checkpoint| checkpoint.step).collect();
/// assert_eq!(steps, [Some(9), Some(10)]);
/// assert!(catalog.checkpoints.iter().all(|checkpoint| matches!(checkpoint.state, CatalogState::Complete)));
/// # Ok::<(), dcp::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Catalog {
    /// The place.
    pub location: String,
    /// What is there, sorted by names, in which runs of digits are numbers: `step-9` comes before `step-10`.
    pub checkpoints: Vec<Cataloged>,
}

/// A checkpoint, or what may become one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Cataloged {
    /// Its path from the place that was listed; empty if it is that place.
    pub name: String,
    /// Whether it is one file.
    pub is_file: bool,
    /// Where it is, to open it.
    pub location: Location,
    /// The step of the training at which it was saved, as its name tells: 100 for `step-100`, `checkpoint-100` and
    /// `epoch=1-step=100.ckpt`.
    pub step: Option<u64>,
    /// The name of its format, as `native`, if it is complete.
    pub format: Option<&'static str>,
    /// How many objects it has; in a directory, all but those of checkpoints deeper in it.
    pub objects: u64,
    /// The size of these objects in bytes.
    pub bytes: u64,
    /// Whether it can be used.
    pub state: CatalogState,
}

/// Whether a checkpoint can be used, as far as its index tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum CatalogState {
    /// It has an index that can be read. (Whether all data is there and sound an [`Auditor`](crate::Auditor) finds out.)
    Complete,
    /// Parts are there, but no index: a save has not finished, or has come to no end.
    Unfinished {
        /// One of the parts.
        found: StorePath,
    },
    /// It cannot be opened.
    Unreadable(Box<Error>),
}

impl Catalog {
    /// Lists the checkpoints below a place. For formats that are brought along see [`Opener::catalog`].
    ///
    /// # Errors
    /// [`Error::Storage`] if the place cannot be listed, [`Error::Location`]. A checkpoint that cannot be read is no error, but
    /// [`CatalogState::Unreadable`].
    pub fn of(at: impl Into<Location>) -> Result<Self, Error> {
        Opener::new().catalog(at)
    }

    pub(crate) fn new(at: &Location, formats: &[Arc<dyn Format>]) -> Result<Self, Error> {
        let (store, io) = (at.store()?, Io::new()?);
        // In this order: what is finished meanwhile is seen at least once. Who may only read need not be allowed to ask for uploads.
        let uploads = io.block_on(store.unfinished()).unwrap_or_default();
        let listing = io.block_on(store.list(None))?;
        let looks = group(listing, uploads, store.traits().one_object.as_ref(), formats);
        let looks = looks.into_iter().map(|group| async { Ok(look(group, at, &store, formats)) }).collect();
        let found = io.clone().with_threads(AT_A_TIME).run(looks, 1)?;
        let mut checkpoints: Vec<Cataloged> = found.into_iter().flatten().collect();
        checkpoints
            .sort_by(|one, other| natural::compare(&one.name, &other.name).then_with(|| one.name.cmp(&other.name)));
        Ok(Self { location: at.to_string(), checkpoints })
    }
}

/// So many indexes are in memory at a time.
const AT_A_TIME: usize = 4;

/// What a group of objects is, if it is anything like a checkpoint.
fn look(group: Group, at: &Location, store: &Arc<dyn Store>, formats: &[Arc<dyn Format>]) -> Option<Cataloged> {
    let Group { place, is_file, objects, upload } = group;
    let name = place.as_ref().map_or_else(String::new, ToString::to_string);
    let location = place.as_ref().map_or_else(|| at.clone(), |path| at.below(store, path, is_file));
    let (count, bytes) = (objects.len() as u64, objects.iter().map(|object| object.size).fold(0, u64::saturating_add));
    let inner: Arc<dyn Store> = match place {
        Some(path) if is_file => Arc::new(OneObject::new(Arc::clone(store), path)),
        Some(path) => Arc::new(Subdirectory::new(Arc::clone(store), path)),
        None => Arc::clone(store),
    };
    let seen = match state(Arc::new(Snapshot::new(Arc::clone(&inner), objects)), is_file, formats) {
        // It may have been replaced since it was listed.
        Err(error) if !is_nothing(&error) && !is_unfinished(&error) => state(inner, is_file, formats),
        seen => seen,
    };
    let (format, state) = match (seen, upload) {
        (Err(error), Some(found)) if is_nothing(&error) => (None, CatalogState::Unfinished { found }),
        (Err(error), None) if is_nothing(&error) => return None,
        (Err(Error::Storage(error)), _) if matches!(*error, StorageError::Unfinished { .. }) => match *error {
            StorageError::Unfinished { found, .. } => (None, CatalogState::Unfinished { found }),
            other => (None, CatalogState::Unreadable(Box::new(other.into()))),
        },
        (Err(error), _) => (None, CatalogState::Unreadable(Box::new(error))),
        (Ok(format), _) => (Some(format), CatalogState::Complete),
    };
    Some(Cataloged { step: step::of(&name), name, is_file, location, format, objects: count, bytes, state })
}

/// The format of a checkpoint whose index can be read.
fn state(store: Arc<dyn Store>, is_file: bool, formats: &[Arc<dyn Format>]) -> Result<&'static str, Error> {
    if is_file {
        return Ok(crate::formats::detect(&store, formats, &Io::new()?)?.name());
    }
    Ok(Checkpoint::open_in(store, Strictness::Strict, formats)?.format())
}

fn is_unfinished(error: &Error) -> bool {
    matches!(error, Error::Storage(error) if matches!(**error, StorageError::Unfinished { .. }))
}

fn is_nothing(error: &Error) -> bool {
    matches!(error, Error::Storage(error) if matches!(**error, StorageError::NoCheckpoint { .. }))
}
