//! Where a checkpoint is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dcp_storage::{MemoryStore, Store};

use crate::Error;

/// A place for one checkpoint: a directory, a URL, or any [`Store`].
///
/// Whatever takes a location takes a `&str`, a path or a store:
///
/// ```
/// use dcp::{Location, MemoryStore};
/// let directory = Location::from("run/step-100");
/// let memory = Location::from(MemoryStore::new());
/// ```
#[derive(Clone, Debug)]
pub struct Location(Place);

#[derive(Clone, Debug)]
enum Place {
    Path(PathBuf),
    Url(String),
    Store(Arc<dyn Store>),
}

impl Location {
    /// The store at this place. `fsync` says whether a directory is to survive a crash of the machine.
    pub(crate) fn store(&self, fsync: bool) -> Result<Arc<dyn Store>, Error> {
        match &self.0 {
            Place::Store(store) => Ok(Arc::clone(store)),
            Place::Path(path) => directory(path, fsync),
            Place::Url(url) => match url.split_once("://") {
                Some(("file", path)) => directory(Path::new(path), fsync),
                Some(("s3" | "gs" | "az", _)) => {
                    Err(Error::MissingFeature { what: format!("the location {url}"), feature: "s3" })
                }
                _ => Err(Error::Location { location: url.clone(), reason: "no store has this URL scheme" }),
            },
        }
    }
}

#[cfg(feature = "fs")]
fn directory(path: &Path, fsync: bool) -> Result<Arc<dyn Store>, Error> {
    use dcp_fs::{Durability, LocalStore};
    let durability = if fsync { Durability::Fsync } else { Durability::None };
    Ok(Arc::new(LocalStore::open(path).durability(durability)))
}

#[cfg(not(feature = "fs"))]
fn directory(path: &Path, _fsync: bool) -> Result<Arc<dyn Store>, Error> {
    Err(Error::MissingFeature { what: format!("the location {}", path.display()), feature: "fs" })
}

impl From<&str> for Location {
    fn from(place: &str) -> Self {
        Self(if place.contains("://") { Place::Url(place.to_owned()) } else { Place::Path(place.into()) })
    }
}

impl From<String> for Location {
    fn from(place: String) -> Self {
        place.as_str().into()
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self(Place::Path(path.to_owned()))
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self(Place::Path(path))
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        path.as_path().into()
    }
}

impl From<Arc<dyn Store>> for Location {
    fn from(store: Arc<dyn Store>) -> Self {
        Self(Place::Store(store))
    }
}

impl From<MemoryStore> for Location {
    fn from(store: MemoryStore) -> Self {
        Self(Place::Store(Arc::new(store)))
    }
}
