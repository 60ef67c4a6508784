//! A store with one defect of your choice.

mod defect;
mod reads;
mod shared;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use async_trait::async_trait;
use bytes::Bytes;
use dcp_storage::{
    Look, MemoryStore, ObjectMeta, Precondition, ReadRange, SharedUploads, StorageError, Store, StorePath, Upload,
    Version,
};

pub(crate) use defect::Defect;

/// A [`MemoryStore`] that is right in everything but one thing. A handle, like what it wraps.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    defect: Defect,
    inner: MemoryStore,
    shared: Arc<Shared>,
    /// Which handle on the place this is.
    handle: usize,
    /// What this handle, unlike the others, remembers.
    cache: Arc<Mutex<BTreeMap<StorePath, ObjectMeta>>>,
}

/// What the defects need to go wrong.
#[derive(Debug, Default)]
struct Shared {
    /// Uploads begun and neither finished nor aborted nor discarded.
    begun: Mutex<BTreeSet<Ticket>>,
    numbers: AtomicUsize,
    discarded: Mutex<BTreeSet<StorePath>>,
    published: Mutex<BTreeSet<StorePath>>,
    deleted: Mutex<Vec<ObjectMeta>>,
    upload_buffer: Mutex<Vec<u8>>,
    cursor: AtomicU64,
    checks: AtomicUsize,
}

/// An upload: of which object, its own number, and by which handle.
type Ticket = (StorePath, usize, usize);

impl Broken {
    pub(crate) fn new(defect: Defect) -> Self {
        Self { defect, inner: MemoryStore::new(), shared: Arc::default(), handle: 0, cache: Arc::default() }
    }

    /// Another handle on the same place, unless that is what is broken.
    pub(crate) fn reopen(&self) -> Self {
        match self.defect {
            Defect::LosesAllOnReopen => Self::new(self.defect),
            _ => Self { handle: self.number(), cache: Arc::default(), ..self.clone() },
        }
    }

    /// One that no upload and no handle has had.
    fn number(&self) -> usize {
        self.shared.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn has_begun(&self, path: &StorePath) -> bool {
        locked(&self.shared.begun).iter().any(|(begun, ..)| begun == path)
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }
}

#[async_trait]
impl Store for Broken {
    fn location(&self) -> String {
        format!("a store that {:?}", self.defect)
    }

    fn shared(&self) -> Option<&dyn SharedUploads> {
        Some(self)
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        let path = &self.rename(path)?;
        if self.is(Defect::CachesHeadsInTheHandle)
            && let Some(meta) = locked(&self.cache).get(path)
        {
            return Ok(meta.clone());
        }
        let mut meta = match self.inner.head(path).await {
            Err(_) if self.is(Defect::GivesMissingHeadsSizeZero) => {
                return Ok(ObjectMeta { path: path.clone(), size: 0, version: None });
            }
            Err(_) if self.is(Defect::GivesHeadsBeforeFinish) && self.has_begun(path) => {
                return Ok(ObjectMeta { path: path.clone(), size: 1, version: None });
            }
            result => result?,
        };
        match self.defect {
            Defect::VersionsAreLengths => meta.version = Some(Version(meta.size.to_string())),
            Defect::HeadsHaveOtherVersions => meta.version = Some(Version("another".to_owned())),
            Defect::VersionsArePublishedOnesOnly if !locked(&self.shared.published).contains(path) => {
                meta.version = None;
            }
            Defect::VersionsBelongToTheHandle => {
                meta.version = Some(Version(format!("{:p}", Arc::as_ptr(&self.cache))));
            }
            Defect::SizesInHeadsAreRoundedUp => meta.size = meta.size.next_multiple_of(512),
            _ => {}
        }
        locked(&self.cache).insert(path.clone(), meta.clone());
        Ok(meta)
    }

    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        match self.head(path).await {
            Ok(meta) if self.is(Defect::SizesAreRoundedUp) => Ok(meta.size.next_multiple_of(512)),
            Err(_) if self.is(Defect::GivesMissingObjectsSizeZero) => Ok(0),
            found => Ok(found?.size),
        }
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        reads::read(self, &self.rename(path)?, ranges).await
    }

    async fn read_each(
        &self,
        path: &StorePath,
        ranges: &mut [ReadRange<'_>],
        look: &mut Look<'_>,
    ) -> Result<(), StorageError> {
        reads::read_each(self, path, ranges, look).await
    }

    async fn read_whole(&self, path: &StorePath, longest: u64) -> Result<(Bytes, Version), StorageError> {
        reads::read_whole(self, &self.rename(path)?, longest).await
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        upload::begin(self, self.rename(path)?, expected_size).await
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        let path = &self.rename(path)?;
        let found = self.inner.head(path).await.ok();
        let refused = || StorageError::PreconditionFailed {
            location: self.location(),
            path: path.clone(),
            expected: "something".to_owned(),
            found: "something else".to_owned(),
        };
        let when = match (self.defect, when) {
            (Defect::NeverPublishesIfAbsent, Precondition::Absent)
            | (Defect::NeverPublishesOnAVersion, Precondition::Matches(_)) => return Err(refused()),
            (Defect::TombstonesBlockPublish, Precondition::Absent)
                if locked(&self.shared.deleted).iter().any(|meta| meta.path == *path) =>
            {
                return Err(refused());
            }
            (Defect::IgnoresAbsent, Precondition::Absent) | (Defect::IgnoresMatches, Precondition::Matches(_)) => {
                Precondition::None
            }
            (Defect::SeesOnlyPublishedAsPresent, Precondition::Absent)
                if !locked(&self.shared.published).contains(path) =>
            {
                Precondition::None
            }
            (Defect::CreatesOnAVersion, Precondition::Matches(_)) if found.is_none() => Precondition::None,
            (Defect::TakesNoConditionForAbsent, Precondition::None) => Precondition::Absent,
            (Defect::ChecksThenPublishes, when) => self.check_then(&when, found.as_ref()).ok_or_else(refused)?,
            (Defect::VersionsAreLengths, Precondition::Matches(version)) => match &found {
                Some(found) if found.size.to_string() == version.0 => Precondition::None,
                _ => return Err(refused()),
            },
            (_, when) => when,
        };
        let mut content = content.to_vec();
        match self.defect {
            Defect::CutsPublishedObjects => content.truncate(8192),
            Defect::LosesEmptyPublishes if content.is_empty() => return Ok(Version("nothing".to_owned())),
            Defect::KeepsTheTailOfWhatItReplaces => {
                if let Some(found) = found.filter(|found| found.size > content.len() as u64) {
                    let mut tail = vec![0; (found.size - content.len() as u64) as usize];
                    let offset = content.len() as u64;
                    self.inner.read(path, &mut [ReadRange { offset, buffer: &mut tail }]).await?;
                    content.extend(tail);
                }
            }
            Defect::PublishesInTwoHalves => {
                if let Some(found) = found.filter(|found| found.size == content.len() as u64) {
                    let mut mixture = vec![0; found.size as usize];
                    self.inner.read(path, &mut [ReadRange { offset: 0, buffer: &mut mixture }]).await?;
                    let half = content.len() / 2;
                    mixture[..half].copy_from_slice(&content[..half]);
                    self.inner.publish(path, &mixture, Precondition::None).await?;
                    meanwhile(|| false);
                }
            }
            _ => {}
        }
        let version = self.inner.publish(path, &content, when).await?;
        locked(&self.shared.published).insert(path.clone());
        Ok(if self.is(Defect::VersionsAreLengths) { Version(content.len().to_string()) } else { version })
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        let prefix = prefix.map(|prefix| self.rename(prefix)).transpose()?;
        let mut listed = self.inner.list(prefix.as_ref()).await?;
        let text = prefix.as_ref().map_or("", StorePath::as_str);
        match self.defect {
            Defect::ListsByText => {
                listed = self.inner.list(None).await?;
                listed.retain(|meta| meta.path.as_str().starts_with(text));
            }
            Defect::ListsStrictlyBelow => listed.retain(|meta| meta.path.as_str() != text),
            Defect::ListsOneLevel => {
                let levels = prefix.as_ref().map_or(0, |prefix| prefix.components().count()) + 1;
                listed.retain(|meta| meta.path.components().count() <= levels);
            }
            Defect::ListsDeleted => {
                listed.extend(locked(&self.shared.deleted).iter().cloned());
                listed.sort_by(|one, other| one.path.cmp(&other.path));
            }
            Defect::ListsUnfinished => {
                let begun = locked(&self.shared.begun);
                listed.extend(begun.iter().map(|(path, ..)| ObjectMeta { path: path.clone(), size: 0, version: None }));
            }
            Defect::ListsBackwards => listed.reverse(),
            Defect::ListsByDirectory => {
                listed.sort_by(|one, other| one.path.components().cmp(other.path.components()));
            }
            Defect::ListsWithoutSizes => listed.iter_mut().for_each(|meta| meta.size = 0),
            Defect::FailsToListNothing if listed.is_empty() => {
                return Err(StorageError::NotFound {
                    location: self.location(),
                    path: prefix.unwrap_or(StorePath::parse("root").expect("valid")),
                });
            }
            _ => {}
        }
        Ok(listed)
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        let path = &self.rename(path)?;
        let found = self.inner.head(path).await;
        match self.defect {
            Defect::FailsToDeleteNothing if found.is_err() => return found.map(drop),
            Defect::DeletesByText => {
                for meta in self.inner.list(None).await? {
                    if meta.path.as_str().starts_with(path.as_str()) {
                        self.inner.delete(&meta.path).await?;
                    }
                }
            }
            _ => {}
        }
        locked(&self.shared.deleted).extend(found);
        self.inner.delete(path).await
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        let is_seen = |handle: usize| match self.defect {
            Defect::NamesNoUnfinished => false,
            Defect::NamesOnlyItsOwnUnfinished => handle == self.handle,
            _ => true,
        };
        let mut names: Vec<_> = {
            let begun = locked(&self.shared.begun);
            begun.iter().filter(|(.., handle)| is_seen(*handle)).map(|(path, ..)| path.clone()).collect()
        };
        match self.defect {
            Defect::NamesEachUploadUnfinished => return Ok(names),
            Defect::NamesUnfinishedByDirectory => {
                names.sort_by(|one, other| one.components().cmp(other.components()));
            }
            _ => {}
        }
        names.dedup();
        if !self.is(Defect::NamesNoSharedUpload) {
            names.extend(self.inner.unfinished().await?);
        }
        Ok(names)
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        if !self.is(Defect::DiscardsNoSharedUpload) {
            self.inner.discard_unfinished(path).await?;
        }
        let hit = |begun: &Ticket| match self.defect {
            Defect::DiscardsNothing => false,
            Defect::DiscardsByText => begun.0.as_str().starts_with(path.as_str()),
            _ => begun.0 == *path,
        };
        match self.defect {
            Defect::DiscardsOneUploadOnly => {
                let mut begun = locked(&self.shared.begun);
                let first = begun.iter().find(|begun| hit(begun)).cloned();
                first.map(|first| begun.remove(&first));
                return Ok(());
            }
            Defect::FailsToDiscardNothing if !self.has_begun(path) => {
                return Err(StorageError::NotFound { location: self.location(), path: path.clone() });
            }
            Defect::DiscardDeletesTheObject => self.inner.delete(path).await?,
            _ => {}
        }
        locked(&self.shared.begun).retain(|begun| !hit(begun));
        locked(&self.shared.discarded).insert(path.clone());
        Ok(())
    }
}

impl Broken {
    /// Looks first and acts later: what lies in between is the defect.
    fn check_then(&self, when: &Precondition, found: Option<&ObjectMeta>) -> Option<Precondition> {
        let holds = match when {
            Precondition::None => true,
            Precondition::Absent => found.is_none(),
            Precondition::Matches(version) => found.and_then(|found| found.version.as_ref()) == Some(version),
        };
        let before = self.shared.checks.fetch_add(1, Ordering::SeqCst);
        meanwhile(|| self.shared.checks.load(Ordering::SeqCst) > before + 1);
        holds.then_some(Precondition::None)
    }

    fn rename(&self, path: &StorePath) -> Result<StorePath, StorageError> {
        let text = path.as_str();
        let renamed = match self.defect {
            Defect::FoldsCase => text.to_lowercase(),
            Defect::DecodesPercent => text.replace("%20", " ").replace("%25", "%"),
            Defect::TakesPlusForSpace => text.replace('+', " "),
            Defect::TrimsNames => text.trim().trim_end_matches('.').to_owned(),
            Defect::FlattensDirectories => text.replace('/', "_"),
            Defect::CutsComponents => {
                text.split('/').map(|part| part.get(..100).unwrap_or(part)).collect::<Vec<_>>().join("/")
            }
            Defect::CutsPaths => text.get(..500).unwrap_or(text).trim_end_matches('/').to_owned(),
            Defect::LimitsDepth if text.split('/').count() > 100 => {
                return Err(self.io(io::ErrorKind::InvalidFilename, path));
            }
            _ => return Ok(path.clone()),
        };
        // A name that nothing is left of stays.
        Ok(StorePath::parse(&renamed).unwrap_or_else(|_| path.clone()))
    }

    fn io(&self, kind: io::ErrorKind, path: &StorePath) -> StorageError {
        StorageError::Io { operation: "use", location: self.location(), path: path.to_string(), source: kind.into() }
    }
}

/// Gives other threads the chance to come in between; it is enough when `done`. Never waits for ever.
fn meanwhile(done: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if done() {
            break;
        }
        thread::yield_now();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics with a lock held")
}
