//! The reader made of a format and a store.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use dcp_types::{DType, Dest, Digest, Metadata, ReadItem, Value};

use crate::engine::{Wanted, answer, read, read_whole};
use crate::{Format, Found, Io, Locator, OpenedCheckpoint, ReadReport, StorageError, StorageReader, Store, Strictness};

/// Reads checkpoints of a format from a store.
#[derive(Debug)]
pub struct ComposedReader {
    format: Arc<dyn Format>,
    store: Arc<dyn Store>,
    strictness: Strictness,
    opened: Mutex<Option<Arc<dyn OpenedCheckpoint>>>,
}

impl ComposedReader {
    /// A reader; nothing is read yet.
    #[must_use]
    pub fn new(format: Arc<dyn Format>, store: Arc<dyn Store>) -> Self {
        Self { format, store, strictness: Strictness::default(), opened: Mutex::new(None) }
    }

    /// The same, treating what is not sound in an index in another way.
    #[must_use]
    pub fn strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// The checkpoint that was opened last.
    ///
    /// # Errors
    /// [`StorageError::NoCheckpoint`] if none was.
    pub fn opened(&self) -> Result<Arc<dyn OpenedCheckpoint>, StorageError> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        opened.ok_or_else(|| StorageError::NoCheckpoint {
            location: self.store.location(),
            reason: "its metadata must be read first".into(),
        })
    }

    /// Where items lie, after finding out that they are there, whole: one locator an item, in order.
    ///
    /// # Errors
    /// As [`read_data`](StorageReader::read_data).
    pub async fn locate(&self, items: Vec<ReadItem>, io: &Io<'_>) -> Result<Vec<Locator>, StorageError> {
        Ok(self.located(&self.opened()?, items, io).await?.0)
    }

    /// The same, with how many bytes were read for it.
    async fn located(
        &self,
        opened: &Arc<dyn OpenedCheckpoint>,
        items: Vec<ReadItem>,
        io: &Io<'_>,
    ) -> Result<(Vec<Locator>, u64), StorageError> {
        match answer(&*self.store, Arc::clone(opened).locate(items), io) {
            Ok(located) => Ok(located),
            Err(error) => Err(self.explain(error, opened.fingerprint()).await),
        }
    }

    /// Tells a file that is missing or too short from one that an overwrite has removed.
    async fn explain(&self, error: StorageError, fingerprint: Digest) -> StorageError {
        let path = match &error {
            StorageError::NotFound { path, .. } | StorageError::OutOfRange { path, .. } => path.clone(),
            _ => return error,
        };
        match read_whole(&*self.store, &self.format.index_path()).await {
            Ok((index, _)) if Digest::of(&index) != fingerprint => {
                StorageError::Overwritten { location: self.store.location(), path }
            }
            _ => error,
        }
    }
}

/// Finds out whether a store holds a checkpoint of a format.
///
/// # Errors
/// Whatever the storage reports.
pub fn recognise(format: &dyn Format, store: &dyn Store, io: &Io<'_>) -> Result<bool, StorageError> {
    Ok(answer(store, format.recognise(), io)?.0)
}

#[async_trait]
impl StorageReader for ComposedReader {
    async fn read_metadata(&self, io: &Io<'_>) -> Result<Found, StorageError> {
        let index = self.format.index_path();
        let (opened, overhead) = match answer(&*self.store, self.format.open(self.strictness), io) {
            Err(StorageError::NotFound { location, path }) if path == index => {
                return Err(StorageError::NoCheckpoint { location, reason: format!("it has no {index}") });
            }
            other => other?,
        };
        let (metadata, fingerprint) = (Arc::clone(opened.metadata()), opened.fingerprint());
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(Found { metadata, fingerprint, overhead })
    }

    async fn check(&self, items: &[ReadItem], io: &Io<'_>) -> Result<(), StorageError> {
        self.locate(items.to_vec(), io).await.map(|_| ())
    }

    fn decode_value(&self, entry: usize, bytes: Bytes) -> Result<Value, StorageError> {
        self.opened()?.decode_value(entry, bytes)
    }

    async fn read_data(&self, items: Vec<(ReadItem, Dest<'_>)>, io: &Io<'_>) -> Result<ReadReport, StorageError> {
        let opened = self.opened()?;
        let (metadata, fingerprint) = (Arc::clone(opened.metadata()), opened.fingerprint());
        let (locators, overhead) =
            self.located(&opened, items.iter().map(|(item, _)| item.clone()).collect(), io).await?;
        let wanted = items.into_iter().zip(locators).map(|((item, dest), locator)| {
            let (fqn, dtype) = describe(&metadata, &item);
            Wanted { fqn, item, dtype, locator, dest }
        });
        match read(&*self.store, fingerprint, wanted.collect(), io) {
            Ok(report) => Ok(ReadReport { overhead, ..report }),
            Err(error) => Err(self.explain(error, fingerprint).await),
        }
    }
}

/// The name of an item, and the dtype of its elements if it is a tensor's.
fn describe(metadata: &Metadata, item: &ReadItem) -> (dcp_types::Fqn, Option<DType>) {
    match metadata.entry(item.entry) {
        Some((fqn, entry)) => (fqn.clone(), entry.as_tensor().map(|tensor| tensor.dtype)),
        None => ("?".into(), None),
    }
}
