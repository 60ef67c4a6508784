//! Where a checkpoint is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dcp_storage::{MemoryStore, Store};

use crate::Error;

/// A place for one checkpoint: a directory, a file of a one-file format, a URL, or any [`Store`].
///
/// Whatever takes a location takes a `&str`, a path or a store:
///
/// ```
/// use dcp::{Location, MemoryStore};
/// let directory = Location::from("run/step-100");
/// let memory = Location::from(MemoryStore::new());
/// let past_the_page_cache = Location::from("run/step-100").cold(true);
/// ```
#[derive(Clone, Debug)]
pub struct Location {
    place: Place,
    cold: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Path(PathBuf),
    Url(String),
    Store(Arc<dyn Store>),
}

impl Location {
    /// The same place, read past the page cache or not, as [`LocalStore::cold`](crate::LocalStore::cold) says. For directories only:
    /// of a store that the caller brings, and of URLs of other schemes, it is an [`Error::Location`] when the place is used.
    #[must_use]
    pub fn cold(mut self, cold: bool) -> Self {
        self.cold = cold;
        self
    }

    /// The store at this place. `fsync` says whether a directory is to survive a crash of the machine.
    pub(crate) fn store(&self, fsync: bool) -> Result<Arc<dyn Store>, Error> {
        match &self.place {
            Place::Store(store) if self.cold => Err(Error::Location { location: store.location(), reason: NOT_COLD }),
            Place::Store(store) => Ok(Arc::clone(store)),
            Place::Path(path) => directory(path, fsync, self.cold),
            Place::Url(url) => match url.split_once("://") {
                Some(("file", path)) => directory(Path::new(path), fsync, self.cold),
                _ if self.cold => Err(Error::Location { location: url.clone(), reason: NOT_COLD }),
                Some(("s3" | "gs" | "az", _)) => {
                    Err(Error::MissingFeature { what: format!("the location {url}"), feature: "s3" })
                }
                _ => Err(Error::Location { location: url.clone(), reason: "no store has this URL scheme" }),
            },
        }
    }
}

const NOT_COLD: &str = "only a directory can be read past the page cache";

#[cfg(feature = "fs")]
fn directory(path: &Path, fsync: bool, cold: bool) -> Result<Arc<dyn Store>, Error> {
    use std::ffi::OsStr;

    use dcp_fs::{Durability, LocalStore};
    use dcp_storage::{OneObject, StorePath};
    let durability = if fsync { Durability::Fsync } else { Durability::None };
    let store = |path: &Path| LocalStore::open(path).durability(durability).cold(cold);
    // A file is a checkpoint of a one-file format.
    if let (true, Some(parent), Some(name)) = (path.is_file(), path.parent(), path.file_name().and_then(OsStr::to_str))
    {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        return Ok(Arc::new(OneObject::new(Arc::new(store(parent)), StorePath::parse(name)?)));
    }
    Ok(Arc::new(store(path)))
}

#[cfg(not(feature = "fs"))]
fn directory(path: &Path, _fsync: bool, _cold: bool) -> Result<Arc<dyn Store>, Error> {
    Err(Error::MissingFeature { what: format!("the location {}", path.display()), feature: "fs" })
}

impl From<Place> for Location {
    fn from(place: Place) -> Self {
        Self { place, cold: false }
    }
}

impl From<&str> for Location {
    fn from(place: &str) -> Self {
        let place = if place.contains("://") { Place::Url(place.to_owned()) } else { Place::Path(place.into()) };
        place.into()
    }
}

impl From<String> for Location {
    fn from(place: String) -> Self {
        place.as_str().into()
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Place::Path(path.to_owned()).into()
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Place::Path(path).into()
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        path.as_path().into()
    }
}

impl From<Arc<dyn Store>> for Location {
    fn from(store: Arc<dyn Store>) -> Self {
        Place::Store(store).into()
    }
}

impl From<MemoryStore> for Location {
    fn from(store: MemoryStore) -> Self {
        Place::Store(Arc::new(store)).into()
    }
}
