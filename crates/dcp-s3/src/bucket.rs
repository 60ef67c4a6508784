//! The store itself: what each operation does, in terms of the other modules.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use dcp_storage::{ObjectMeta, Precondition, ReadRange, StorageError, Store, StorePath, StoreTraits, Upload, Version};
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use crate::budget::Budget;
use crate::connect::{self, Client, Environment};
use crate::keys::Keys;
use crate::read::Reading;
use crate::site::{self, Site};
use crate::upload::{BucketUpload, Target};
use crate::url::{self, BucketUrl};
use crate::version::version;
use crate::{Access, KeyLayout, Traffic, publish, work};

/// A place in a bucket: everything below a prefix.
///
/// A handle that is cheap to clone; clones share what [`Traffic`] allows. Its methods want to be run by a tokio runtime with I/O and
/// time, which [`Io`](dcp_storage::Io) brings, and one handle by one runtime: connections live on it.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    location: Arc<str>,
    keys: Keys,
    traffic: Traffic,
    budget: Budget,
    /// Data files were found where another layout puts them, so look there first.
    laid_out_otherwise: Arc<AtomicBool>,
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
        let client = connect::connect(&url, access, &Environment::of_process())?;
        Ok(Self::new(client, url.location(), url.prefix))
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
        Self::new(Client { store, uploads: None }, location, prefix)
    }

    /// The same place with this traffic, which this handle and its clones share from now on.
    #[must_use]
    pub fn traffic(self, traffic: Traffic) -> Self {
        Self { traffic, budget: Budget::of(&traffic), ..self }
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

    fn new(client: Client, location: String, prefix: Option<StorePath>) -> Self {
        let traffic = Traffic::default();
        Self {
            client,
            location: location.into(),
            keys: Keys::below(prefix),
            traffic,
            budget: Budget::of(&traffic),
            laid_out_otherwise: Arc::default(),
        }
    }

    fn store(&self) -> &dyn ObjectStore {
        &*self.client.store
    }

    fn site(&self, path: &StorePath) -> Site {
        Site::of(&self.location, path)
    }

    /// Where an object may be, most likely first, and whether that is where another layout puts it.
    fn places(&self, path: &StorePath) -> Result<Vec<(Path, bool)>, StorageError> {
        let (key, otherwise) = (self.keys.of(path)?, self.laid_out_otherwise.load(Ordering::Relaxed));
        Ok(match self.keys.elsewhere(path)? {
            // That it is there says nothing of others.
            None => vec![(key, otherwise)],
            Some(other) if otherwise => vec![(other, true), (key, false)],
            Some(other) => vec![(key, false), (other, true)],
        })
    }

    async fn look_for(&self, path: &StorePath) -> Result<object_store::ObjectMeta, StorageError> {
        let site = self.site(path);
        for (key, otherwise) in self.places(path)? {
            let found = work::ask(self.traffic.patience(), self.store().head(&key)).await;
            if let Some(found) = self.unless_missing(otherwise, found.map_err(site.failed("look at"))) {
                return found;
            }
        }
        Err(site.not_found())
    }

    /// What came of looking for an object in one place, unless it is not there. Remembers in which layout it was found.
    fn unless_missing<T>(&self, otherwise: bool, found: Result<T, StorageError>) -> Option<Result<T, StorageError>> {
        if matches!(found, Err(StorageError::NotFound { .. })) {
            return None;
        }
        if found.is_ok() {
            self.laid_out_otherwise.store(otherwise, Ordering::Relaxed);
        }
        Some(found)
    }

    fn reading<'r>(&'r self, key: &'r Path, site: &'r Site) -> Reading<'r> {
        Reading { store: self.store(), key, site, traffic: &self.traffic, budget: &self.budget }
    }

    /// All that is below a key. The key itself is not.
    async fn below(&self, key: Option<&Path>) -> Result<Vec<object_store::ObjectMeta>, StorageError> {
        let listing = self.store().list(key).try_collect();
        match work::ask(self.traffic.patience(), listing).await {
            Err(failure) if failure.is_below_object() => Ok(Vec::new()),
            listed => listed.map_err(|failure| self.failed_at_all("list", failure)),
        }
    }

    fn failed_at_all(&self, operation: &'static str, failure: work::Failure) -> StorageError {
        site::failed(&self.location, "objects", operation, failure)
    }
}

#[async_trait]
impl Store for Bucket {
    fn location(&self) -> String {
        self.location.to_string()
    }

    fn traits(&self) -> StoreTraits {
        let mut traits = StoreTraits::default();
        traits.reads_in_flight = READS_OF_A_THREAD.min(self.traffic.reads_in_flight);
        traits.coalesce_gap = self.traffic.coalesce_gap;
        traits.exact_run = EXACT_RUN;
        traits.read_buffer = READ_BUFFER.min(self.traffic.read_size);
        traits.read_size = self.traffic.read_size;
        traits
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        let found = self.look_for(path).await?;
        Ok(ObjectMeta { path: path.clone(), size: found.size, version: version(found.e_tag, found.version) })
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        let site = self.site(path);
        for (key, otherwise) in self.places(path)? {
            if let Some(filled) = self.unless_missing(otherwise, self.reading(&key, &site).fill(ranges).await) {
                return filled;
            }
        }
        Err(site.not_found())
    }

    async fn read_whole(&self, path: &StorePath, longest: u64) -> Result<(Bytes, Version), StorageError> {
        let site = self.site(path);
        for (key, otherwise) in self.places(path)? {
            if let Some(found) = self.unless_missing(otherwise, self.reading(&key, &site).whole(longest).await) {
                return found;
            }
        }
        Err(site.not_found())
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        let (site, key) = (self.site(path), self.keys.of(path)?);
        let runtime = Handle::try_current().map_err(|none| site.io("create", io::Error::other(none)))?;
        let target = Target {
            store: Arc::clone(&self.client.store),
            key,
            site,
            patience: self.traffic.patience(),
            budget: self.budget.clone(),
            part_size: self.traffic.part_size,
        };
        Ok(Box::new(BucketUpload::new(target, runtime, expected_size)))
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        let (site, key) = (self.site(path), self.keys.of(path)?);
        publish::publish(self.store(), &key, &site, self.traffic.patience(), content, when).await
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        let key = prefix.map_or_else(|| Ok(self.keys.root()), |prefix| self.keys.of(prefix).map(Some))?;
        let object = |found: object_store::ObjectMeta| {
            let path = self.keys.path_of(&found.location)?;
            Some(ObjectMeta { path, size: found.size, version: None })
        };
        let mut objects: Vec<_> = self.below(key.as_ref()).await?.into_iter().filter_map(object).collect();
        if let Some(prefix) = prefix {
            // What is below it, by component, and nothing else that a store may list for it.
            objects.retain(|object| object.path != *prefix && object.path.starts_with(prefix));
            match self.look_for(prefix).await {
                Ok(found) => objects.push(ObjectMeta { path: prefix.clone(), size: found.size, version: None }),
                Err(StorageError::NotFound { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        objects.sort_by(|one, other| one.path.cmp(&other.path));
        // One name in both layouts.
        objects.dedup_by(|later, first| later.path == first.path);
        Ok(objects)
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        for (key, _) in self.places(path)? {
            match work::ask(self.traffic.patience(), self.store().delete(&key)).await {
                Ok(()) => {}
                Err(failure) if failure.is_missing() => {}
                Err(failure) => return Err(self.site(path).failed_to("delete")(failure)),
            }
        }
        Ok(())
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        let Some(uploads) = &self.client.uploads else { return Ok(Vec::new()) };
        let root = self.keys.root();
        let found = work::ask(self.traffic.patience(), uploads.below(root.as_ref())).await;
        let found = found.map_err(|failure| self.failed_at_all("list uploads of", failure))?;
        let mut paths: Vec<_> = found.iter().filter_map(|upload| self.keys.path_of(&upload.key)).collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        let Some(uploads) = &self.client.uploads else { return Ok(()) };
        let failed = self.site(path);
        for (key, _) in self.places(path)? {
            let found = work::ask(self.traffic.patience(), uploads.of(&key)).await;
            for upload in found.map_err(failed.failed_to(DISCARD))? {
                match work::ask(self.traffic.patience(), uploads.abort(&upload)).await {
                    Ok(()) => {}
                    // It has been finished or aborted meanwhile.
                    Err(failure) if failure.is_missing() => {}
                    Err(failure) => return Err(failed.failed_to(DISCARD)(failure)),
                }
            }
        }
        Ok(())
    }
}

const DISCARD: &str = "discard uploads of";

/// How many reads one thread keeps under way: an answer takes a while to begin.
const READS_OF_A_THREAD: usize = 8;
/// In bytes. A request costs as much as some hundred KiB that come with another one.
const EXACT_RUN: u64 = 1 << 20;
/// In bytes. There are as many buffers as reads under way.
const READ_BUFFER: u64 = 1 << 20;
