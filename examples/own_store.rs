//! A store of one's own: the client of a key-value service, as a vendor would write it. Here the service is a map.
//!
//! The test below is one line. It runs every clause of the contract of `Store`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use dcp::crates::dcp_storage::{ObjectMeta, Precondition, ReadRange, StorePath, Upload, Version};
use dcp::{Checkpoint, Saver, StateDict, StorageError, Store};

#[derive(Debug, Default)]
struct Service {
    objects: BTreeMap<StorePath, Object>,
    /// How often anything was put: no two states of a key have one number, even if it was deleted in between.
    puts: u64,
}

/// A value, and the number of the put that it came with.
type Object = (Arc<[u8]>, u64);

#[derive(Clone, Debug, Default)]
struct KeyValueStore(Arc<Mutex<Service>>);

impl Service {
    fn put(&mut self, path: &StorePath, value: &[u8]) -> Object {
        self.puts += 1;
        let object = (value.into(), self.puts);
        self.objects.insert(path.clone(), object.clone());
        object
    }
}

impl KeyValueStore {
    fn service(&self) -> MutexGuard<'_, Service> {
        self.0.lock().expect("nobody panics while holding it")
    }

    fn not_found(&self, path: &StorePath) -> StorageError {
        StorageError::NotFound { location: self.location(), path: path.clone() }
    }

    fn already_exists(&self, path: &StorePath) -> StorageError {
        StorageError::AlreadyExists { location: self.location(), path: path.clone() }
    }
}

#[async_trait]
impl Store for KeyValueStore {
    fn location(&self) -> String {
        "kv://example".into()
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.service().objects.get(path).map(|object| meta(path, object)).ok_or_else(|| self.not_found(path))
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        let (value, _) = self.service().objects.get(path).cloned().ok_or_else(|| self.not_found(path))?;
        for ReadRange { offset, buffer } in ranges {
            let start = usize::try_from(*offset).unwrap_or(usize::MAX);
            let wanted = value.get(start..start.saturating_add(buffer.len()));
            buffer.copy_from_slice(wanted.ok_or_else(|| StorageError::OutOfRange {
                location: self.location(),
                path: path.clone(),
                offset: *offset,
                length: buffer.len() as u64,
                size: value.len() as u64,
            })?);
        }
        Ok(())
    }

    async fn create(&self, path: &StorePath, _size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        if self.service().objects.contains_key(path) {
            return Err(self.already_exists(path));
        }
        Ok(Box::new(Pending { store: self.clone(), path: path.clone(), bytes: Vec::new() }))
    }

    /// Compare and put, under one lock.
    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        let mut service = self.service();
        let found = service.objects.get(path).map(version);
        let expected = match when {
            Precondition::None => found.clone(),
            Precondition::Absent => None,
            Precondition::Matches(version) => Some(version),
        };
        if found != expected {
            let show = |version: Option<Version>| version.map_or("nothing".into(), |version| version.0);
            let (location, path) = (self.location(), path.clone());
            let (expected, found) = (show(expected), show(found));
            return Err(StorageError::PreconditionFailed { location, path, expected, found });
        }
        Ok(version(&service.put(path, content)))
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        let wanted = |path: &StorePath| prefix.is_none_or(|prefix| path.starts_with(prefix));
        Ok(self
            .service()
            .objects
            .iter()
            .filter(|(path, _)| wanted(path))
            .map(|(path, object)| meta(path, object))
            .collect())
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.service().objects.remove(path);
        Ok(())
    }
}

/// An object that nobody sees yet.
struct Pending {
    store: KeyValueStore,
    path: StorePath,
    bytes: Vec<u8>,
}

#[async_trait]
impl Upload for Pending {
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError> {
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, StorageError> {
        let Self { store, path, bytes } = *self;
        let mut service = store.service();
        if service.objects.contains_key(&path) {
            return Err(store.already_exists(&path));
        }
        Ok(meta(&path, &service.put(&path, &bytes)))
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        Ok(())
    }
}

fn version((_, put): &Object) -> Version {
    Version(put.to_string())
}

fn meta(path: &StorePath, object: &Object) -> ObjectMeta {
    ObjectMeta { path: path.clone(), size: object.0.len() as u64, version: Some(version(object)) }
}

fn main() -> Result<(), dcp::Error> {
    let store: Arc<dyn Store> = Arc::new(KeyValueStore::default());
    Saver::new().save_dict(&StateDict::new().with("step", 7), Arc::clone(&store))?;
    println!("step {:?}, from {}", Checkpoint::open(Arc::clone(&store))?.value("step")?, store.location());
    Ok(())
}

#[cfg(test)]
mod contract {
    dcp_storage::store_conformance!(
        || {
            let store = super::KeyValueStore::default();
            move || store.clone()
        },
        without unfinished = "nothing is in the service before it is finished",
    );
}
