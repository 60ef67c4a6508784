//! The machine crashes in the midst of a save.
//!
//! A store says what survives that: whatever was finished or published. Not that something deleted stays away. So
//! each crash is tried with every way in which the removals before it may have been forgotten.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dcp::{StorageError, Store};
use dcp_storage::conformance::{Fault, FaultStore, Faults, block_on};
use dcp_storage::{ObjectMeta, Precondition, ReadRange, StorePath, Upload, Version};

use super::support::{Place, everything, fetch, path, save};

#[test]
fn removals_may_be_forgotten() {
    for old in [None, Some(1)] {
        let count = {
            let (place, faults) = (prepared(old), Faults::none());
            save(Arc::new(FaultStore::new(place.open(), faults.clone())), 2, true).expect("nothing fails");
            faults.count()
        };
        // One more: after the last operation.
        for k in 0..=count {
            let place = prepared(old);
            let removed = Removed::new(place.open());
            let outcome = save(Arc::new(FaultStore::new(removed.clone(), Faults::none().at(k, Fault::Stop))), 2, true);
            let removed = removed.objects.lock().expect("lock").clone();
            assert!(removed.len() < 5, "every way to forget some of {} removals is tried", removed.len());
            for forgotten in 0..1_u32 << removed.len() {
                let after = Place::memory();
                copy(&everything(&*place.open()), &after);
                let back = removed.iter().enumerate().filter(|(bit, _)| forgotten & (1 << bit) != 0);
                copy(&back.map(|(_, (name, content))| (name.clone(), content.clone())).collect(), &after);

                let what = format!("over {old:?}, crash at {k} of {count}, forgotten: {forgotten:b} of {removed:?}");
                let found = after.content();
                assert!(found == old || found == Some(2), "{what}: {found:?}");
                assert!(outcome.is_err() || found == Some(2), "{what}: {found:?}");
                save(after.open(), 3, true).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(after.content(), Some(3), "{what}");
                // Of generation 0 a file without its claim is not known to be ours: it stays, and harms nobody.
                let is_back = |claim: bool| {
                    let back = removed.iter().enumerate().filter(|(bit, _)| forgotten & (1 << bit) != 0);
                    back.filter(|(_, (name, _))| name.starts_with(".dcp-claim-") == claim).count() > 0
                };
                let has_claim = is_back(true) || removed.iter().all(|(name, _)| !name.starts_with(".dcp-claim-"));
                if has_claim || !is_back(false) {
                    after.assert_tidy(&what);
                }
            }
        }
    }
}

fn prepared(old: Option<u32>) -> Place {
    let place = Place::memory();
    if let Some(old) = old {
        save(place.open(), old, true).expect("saved");
    }
    place
}

fn copy(objects: &BTreeMap<String, Vec<u8>>, to: &Place) {
    for (name, content) in objects {
        block_on(to.open().publish(&path(name), content, Precondition::None)).expect("published");
    }
}

/// Remembers what was removed.
#[derive(Clone, Debug)]
struct Removed {
    inner: Arc<dyn Store>,
    objects: Arc<Mutex<Objects>>,
}

/// Names and contents.
type Objects = Vec<(String, Vec<u8>)>;

impl Removed {
    fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, objects: Arc::default() }
    }
}

#[async_trait]
impl Store for Removed {
    fn location(&self) -> String {
        self.inner.location()
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.inner.head(path).await
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        self.inner.read(path, ranges).await
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        self.inner.create(path, expected_size).await
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        self.inner.publish(path, content, when).await
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        let removed = (path.to_string(), fetch(&*self.inner, path.as_str()));
        self.objects.lock().expect("lock").push(removed);
        self.inner.delete(path).await
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        self.inner.unfinished().await
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        self.inner.discard_unfinished(path).await
    }
}
