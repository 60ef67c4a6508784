//! The store itself.

use std::sync::Arc;

use async_trait::async_trait;
use dcp_storage::{ObjectMeta, Precondition, ReadRange, StorageError, Store, StorePath, StoreTraits, Upload, Version};
use futures_util::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};

use crate::connect::{self, Environment};
use crate::keys::Keys;
use crate::site::Site;
use crate::url::{self, BucketUrl};
use crate::{Access, KeyLayout, Traffic};

/// A place in a bucket: everything below a prefix.
///
/// A handle that is cheap to clone; clones share their [`Traffic`]. Its methods want a tokio runtime around them, with I/O and time.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    location: Arc<str>,
    keys: Keys,
    traffic: Traffic,
}

impl Bucket {
    /// The URL schemes that [`open`](Self::open) knows.
    pub const SCHEMES: &[&str] = &url::SCHEMES;

    /// The place that a URL names, reached as the environment says. Does no I/O but reading the files that the environment names.
    ///
    /// # Errors
    /// [`StorageError::InvalidUrl`], and [`StorageError::NoAccess`] if what is known of the way there does not do.
    pub fn open(url: &str) -> Result<Self, StorageError> {
        Self::open_with(url, &Access::default())
    }

    /// As [`open`](Self::open), with more to go by than the environment.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(url: &str, access: &Access) -> Result<Self, StorageError> {
        let url = BucketUrl::parse(url)?;
        let store = connect::connect(&url, access, &Environment::of_process())?;
        let location = url.location().into();
        Ok(Self { store, location, keys: Keys::below(url.prefix), traffic: Traffic::default() })
    }

    /// Whatever `object_store` has: memory, a cloud client of one's own making. Everything below `prefix`, or all of it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use dcp_s3::{Bucket, object_store::memory::InMemory};
    /// let bucket = Bucket::over(Arc::new(InMemory::new()), None);
    /// ```
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, prefix: Option<StorePath>) -> Self {
        let location = match &prefix {
            Some(prefix) => format!("{store}/{prefix}"),
            None => store.to_string(),
        };
        Self { store, location: location.into(), keys: Keys::below(prefix), traffic: Traffic::default() }
    }

    /// The same place with this traffic, which this handle and its clones share from now on.
    #[must_use]
    pub fn traffic(self, traffic: Traffic) -> Self {
        Self { traffic, ..self }
    }

    /// The same place, where data files are written in this layout.
    #[must_use]
    pub fn layout(self, layout: KeyLayout) -> Self {
        Self { keys: self.keys.laid_out(layout), ..self }
    }

    /// Whether a text is a URL with one of the [`SCHEMES`](Self::SCHEMES).
    #[must_use]
    pub fn is_url(text: &str) -> bool {
        url::is_url(text)
    }

    fn site(&self, path: &StorePath) -> Site {
        Site::of(Arc::clone(&self.location), path)
    }
}

#[async_trait]
impl Store for Bucket {
    fn location(&self) -> String {
        self.location.to_string()
    }

    fn traits(&self) -> StoreTraits {
        let mut traits = StoreTraits::default();
        traits.reads_in_flight = 4;
        traits.coalesce_gap = self.traffic.coalesce_gap;
        traits.read_size = self.traffic.read_size;
        traits
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        let found = self.store.head(&self.keys.of(path)?).await.map_err(self.site(path).failed("look at"))?;
        Ok(ObjectMeta { path: path.clone(), size: found.size, version: found.e_tag.map(Version) })
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        let site = self.site(path);
        let key = self.keys.of(path)?;
        let size = self.store.head(&key).await.map_err(site.failed("read"))?.size;
        for range in ranges {
            let length = range.buffer.len() as u64;
            match range.offset.checked_add(length) {
                Some(end) if end <= size => {
                    let bytes = self.store.get_range(&key, range.offset..end).await.map_err(site.failed("read"))?;
                    range.buffer.copy_from_slice(&bytes);
                }
                _ => return Err(site.out_of_range(range.offset, length, size)),
            }
        }
        Ok(())
    }

    async fn create(&self, path: &StorePath, _expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        let (bucket, path) = (self.clone(), path.clone());
        Ok(Box::new(Whole { bucket, path, bytes: Vec::new() }))
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        let site = self.site(path);
        let mode = match &when {
            Precondition::None => PutMode::Overwrite,
            Precondition::Absent => PutMode::Create,
            Precondition::Matches(version) => {
                PutMode::Update(UpdateVersion { e_tag: Some(version.0.clone()), version: None })
            }
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&self.keys.of(path)?, PutPayload::from(content.to_vec()), options).await {
            Ok(put) => Ok(Version(put.e_tag.unwrap_or_default())),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Err(site.refused(format!("{when:?}"), "another state".to_owned()))
            }
            Err(fault) => Err(site.failed("publish")(fault)),
        }
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        let listed: Result<Vec<_>, _> = self.store.list(self.keys.root().as_ref()).try_collect().await;
        let listed = listed.map_err(|fault| StorageError::Io {
            operation: "list",
            location: self.location(),
            path: "objects".to_owned(),
            source: std::io::Error::other(fault),
        })?;
        let object = |found: object_store::ObjectMeta| {
            let path = self.keys.path_of(&found.location)?;
            Some(ObjectMeta { path, size: found.size, version: None })
        };
        let mut objects: Vec<_> = listed.into_iter().filter_map(object).collect();
        objects.retain(|object| prefix.is_none_or(|prefix| object.path.starts_with(prefix)));
        objects.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(objects)
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        match self.store.delete(&self.keys.of(path)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(fault) => Err(self.site(path).failed("delete")(fault)),
        }
    }
}

/// An upload that is put in one request.
struct Whole {
    bucket: Bucket,
    path: StorePath,
    bytes: Vec<u8>,
}

#[async_trait]
impl Upload for Whole {
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError> {
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, StorageError> {
        let site = self.bucket.site(&self.path);
        let size = self.bytes.len() as u64;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let key = self.bucket.keys.of(&self.path)?;
        match self.bucket.store.put_opts(&key, PutPayload::from(self.bytes), options).await {
            Ok(_) => Ok(ObjectMeta { path: self.path, size, version: None }),
            Err(object_store::Error::AlreadyExists { .. }) => Err(site.taken()),
            Err(fault) => Err(site.failed("finish")(fault)),
        }
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        Ok(())
    }
}
