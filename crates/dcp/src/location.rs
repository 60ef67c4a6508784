//! Where a checkpoint is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dcp_storage::{Format, MemoryStore, OneObject, Store, StorePath, Subdirectory};

use crate::Error;

/// A place for one checkpoint: a directory, a file of a one-file format, a URL, or any [`Store`].
///
/// URLs are `file://PATH` and, with the cargo feature `s3`, places in buckets: `s3://bucket/run/step-100`, `gs://…`, `az://container/…`; who may go there
/// the environment says, as for the clouds' own programs, or `access`. To read, such a URL is a file of a one-file format if
/// its name has an ending, as `model.pt`, and the bucket, which is asked, has an object of this name; else it is a directory.
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
    #[cfg(feature = "s3")]
    access: dcp_s3::Access,
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

    /// The same place, if it is in a bucket, reached so, rather than as the environment alone says.
    ///
    /// ```
    /// use dcp::{Access, Location};
    /// let public = Location::from("s3://bucket/run/step-100").access(Access::default().region("eu-west-1").skip_signature(true));
    /// ```
    #[cfg(feature = "s3")]
    #[must_use]
    pub fn access(mut self, access: dcp_s3::Access) -> Self {
        self.access = access;
        self
    }

    /// The store of the checkpoint that is at this place.
    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, Error> {
        // Nothing is written through it.
        self.open(|path| on_disk(path, path.is_file(), true, self.cold), None)
    }

    /// The store that this place is, taken for a directory, whatever is there now. `fsync` says whether what is written on a file system
    /// is to survive a crash of the machine.
    ///
    /// ```
    /// use dcp::{Location, Store};
    /// let store = Location::from("runs/step-7").directory(true)?;
    /// assert!(store.location().ends_with("runs/step-7"));
    /// # Ok::<(), dcp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Location`] if there is no store for a URL, [`Error::MissingFeature`], and whatever opening a bucket reports.
    pub fn directory(&self, fsync: bool) -> Result<Arc<dyn Store>, Error> {
        self.open(|path| on_disk(path, false, fsync, self.cold), Some(false))
    }

    /// The store for a checkpoint of this format, whatever is at this place now. `fsync` says whether what is written on a file system
    /// is to survive a crash of the machine.
    pub(crate) fn store_for(&self, format: &dyn Format, fsync: bool) -> Result<Arc<dyn Store>, Error> {
        let store =
            self.open(|path| on_disk(path, format.is_one_file(), fsync, self.cold), Some(format.is_one_file()))?;
        match (format.is_one_file(), store.traits().one_object.is_some()) {
            (true, false) => Err(Error::Location { location: store.location(), reason: NOT_ONE_FILE }),
            (false, true) => Err(Error::Location { location: store.location(), reason: ONE_FILE }),
            _ => Ok(store),
        }
    }

    /// Whether another location is this very place, as far as that can be told: paths are compared with their links followed.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (Place::Store(one), Place::Store(other)) => Arc::ptr_eq(one, other),
            _ => match (self.path(), other.path()) {
                (Some(one), Some(other)) => {
                    let real = |path: &Path| path.canonicalize().ok();
                    real(one).is_some_and(|one| real(other) == Some(one))
                }
                _ => match (&self.place, &other.place) {
                    (Place::Url(one), Place::Url(other)) => one.trim_end_matches('/') == other.trim_end_matches('/'),
                    _ => false,
                },
            },
        }
    }

    /// The place of a checkpoint below this one, whose own store is given: a directory, or a file of a one-file format.
    pub(crate) fn below(&self, store: &Arc<dyn Store>, name: &StorePath, is_file: bool) -> Self {
        let place = match self.path() {
            // The file itself.
            Some(path) if store.traits().one_object.is_some() => Place::Path(path.to_owned()),
            Some(path) => Place::Path(path.join(name.as_str())),
            None if self.is_url() && store.traits().one_object.is_some() => self.place.clone(),
            // A slash says that it is no object.
            None if self.is_url() => Place::Url(format!(
                "{}/{name}{}",
                self.to_string().trim_end_matches('/'),
                if is_file { "" } else { "/" }
            )),
            None if is_file => Place::Store(Arc::new(OneObject::new(Arc::clone(store), name.clone()))),
            None => Place::Store(Arc::new(Subdirectory::new(Arc::clone(store), name.clone()))),
        };
        Self { place, ..self.clone() }
    }

    /// The path, if it is one of this machine.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Path(path) => Some(path),
            Place::Url(url) => url.strip_prefix("file://").map(Path::new),
            Place::Store(_) => None,
        }
    }

    fn is_url(&self) -> bool {
        matches!(self.place, Place::Url(_))
    }

    /// `is_file` says whether it is to be one object of a bucket; if nobody knows, the bucket is asked.
    fn open(
        &self,
        on_disk: impl Fn(&Path) -> Result<Arc<dyn Store>, Error>,
        is_file: Option<bool>,
    ) -> Result<Arc<dyn Store>, Error> {
        match &self.place {
            Place::Store(store) if self.cold => Err(Error::Location { location: store.location(), reason: NOT_COLD }),
            Place::Store(store) => Ok(Arc::clone(store)),
            Place::Path(path) => on_disk(path),
            Place::Url(url) => match url.split_once("://") {
                Some(("file", path)) => on_disk(Path::new(path)),
                _ if self.cold => Err(Error::Location { location: url.clone(), reason: NOT_COLD }),
                Some((scheme, _)) if IN_BUCKETS.contains(&scheme) => self.in_bucket(url, is_file),
                _ => Err(Error::Location { location: url.clone(), reason: "no store has this URL scheme" }),
            },
        }
    }
}

#[cfg(feature = "s3")]
impl Location {
    /// The store of a part of a bucket, or of one object of it.
    fn in_bucket(&self, url: &str, is_file: Option<bool>) -> Result<Arc<dyn Store>, Error> {
        use dcp_s3::Bucket;
        use dcp_storage::{Io, StorageError};
        let directory = || Ok(Arc::new(Bucket::open_with(url, &self.access)?) as Arc<dyn Store>);
        let split = object_in(url);
        // To read, a name without an ending is not worth a request.
        let may_be_object = split.is_some_and(|(_, name)| name.contains('.'));
        let (parent, name) = match (is_file, split) {
            (Some(false), _) | (None, None) => return directory(),
            (None, _) if !may_be_object => return directory(),
            (Some(true), None) => return Err(Error::Location { location: url.to_owned(), reason: NO_OBJECT }),
            (_, Some((parent, name))) => (Bucket::open_with(parent, &self.access)?, StorePath::parse(name)?),
        };
        if is_file.is_none() {
            match Io::new()?.block_on(parent.size(&name)) {
                Ok(_) => {}
                Err(StorageError::NotFound { .. }) => return directory(),
                // Some servers over file systems fail where a directory has the name.
                Err(error) if error.is_retryable() => {
                    let directory = directory()?;
                    let listing = Io::new()?.block_on(directory.list(None))?;
                    return if listing.is_empty() { Err(error.into()) } else { Ok(directory) };
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Arc::new(OneObject::new(Arc::new(parent), name)))
    }
}

#[cfg(not(feature = "s3"))]
impl Location {
    fn in_bucket(&self, url: &str, _is_file: Option<bool>) -> Result<Arc<dyn Store>, Error> {
        Err(Error::MissingFeature { what: format!("the location {url}"), feature: "s3" })
    }
}

/// The URL around an object, and its name, if a URL may be that of an object.
#[cfg(feature = "s3")]
fn object_in(url: &str) -> Option<(&str, &str)> {
    let (parent, name) = url.rsplit_once('/')?;
    // Else it would be the bucket itself.
    (!parent.ends_with('/') && !name.is_empty()).then_some((parent, name))
}

/// The URL schemes of places in buckets.
#[cfg(feature = "s3")]
const IN_BUCKETS: &[&str] = dcp_s3::Bucket::SCHEMES;
#[cfg(not(feature = "s3"))]
const IN_BUCKETS: &[&str] = &["s3", "s3a", "gs", "az", "abfs", "abfss"];

#[cfg(feature = "s3")]
const NO_OBJECT: &str = "it is no name of an object in a bucket";

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Path(path) => path.display().fmt(f),
            Place::Url(url) => url.fmt(f),
            Place::Store(store) => store.location().fmt(f),
        }
    }
}

const NOT_COLD: &str = "only a directory can be read past the page cache";
const NOT_ONE_FILE: &str = "a format that is one file needs a place for one (`OneObject` of a store)";
const ONE_FILE: &str = "the format is more than one file";

/// The store of a directory, or of one file of it: a checkpoint of a one-file format.
#[cfg(feature = "fs")]
fn on_disk(path: &Path, is_file: bool, fsync: bool, cold: bool) -> Result<Arc<dyn Store>, Error> {
    use std::ffi::OsStr;

    use dcp_fs::{Durability, LocalStore};
    let durability = if fsync { Durability::Fsync } else { Durability::None };
    let store = |path: &Path| LocalStore::open(path).durability(durability).cold(cold);
    if !is_file {
        return Ok(Arc::new(store(path)));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
        return Err(Error::Location { location: path.display().to_string(), reason: NO_FILE });
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    Ok(Arc::new(OneObject::new(Arc::new(store(parent)), StorePath::parse(name)?)))
}

#[cfg(feature = "fs")]
const NO_FILE: &str = "it is no name of a file";

#[cfg(not(feature = "fs"))]
fn on_disk(path: &Path, _is_file: bool, _fsync: bool, _cold: bool) -> Result<Arc<dyn Store>, Error> {
    Err(Error::MissingFeature { what: format!("the location {}", path.display()), feature: "fs" })
}

impl From<Place> for Location {
    fn from(place: Place) -> Self {
        Self {
            place,
            cold: false,
            #[cfg(feature = "s3")]
            access: dcp_s3::Access::default(),
        }
    }
}

/// A URL, or else a path.
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

/// A URL too: programs take their arguments as paths.
impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        path.to_str().map_or_else(|| Place::Path(path.to_owned()).into(), Self::from)
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        path.as_path().into()
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

#[cfg(all(test, feature = "s3"))]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_one_whatever_it_comes_as() {
        let url = "s3://bucket/run";
        let locations: [Location; 5] = [
            url.into(),
            url.to_owned().into(),
            Path::new(url).into(),
            PathBuf::from(url).into(),
            (&PathBuf::from(url)).into(),
        ];
        assert!(locations.iter().all(|location| location.is_url() && location.path().is_none()));
        assert_eq!(Location::from(Path::new("run")).path(), Some(Path::new("run")));
    }

    #[test]
    fn a_url_is_an_object_in_what_is_around_it() {
        let cases = [
            ("s3://bucket/run/model.pt", Some(("s3://bucket/run", "model.pt"))),
            ("s3://bucket/model.pt", Some(("s3://bucket", "model.pt"))),
            ("s3://bucket/run/", None),
            ("s3://bucket", None),
            ("s3://bucket/", None),
        ];
        for (url, expected) in cases {
            assert_eq!(object_in(url), expected, "{url}");
        }
    }

    #[test]
    fn urls_are_the_same_place_with_and_without_a_slash() {
        let is_same = |one: &str, other: &str| Location::from(one).is_same(&other.into());
        assert!(is_same("s3://bucket/run", "s3://bucket/run/"));
        assert!(!is_same("s3://bucket/run", "s3://bucket/running"));
        assert!(!is_same("s3://bucket/run", "gs://bucket/run"));
    }
}
