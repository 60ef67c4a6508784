//! Objects in memory that several threads write together.

use async_trait::async_trait;

use super::{MemoryStore, Ticket, discarded, refuse_unless};
use crate::{ObjectMeta, Precondition, SharedUpload, SharedUploads, StorageError, StorePath, UploadId};

#[async_trait]
impl SharedUploads for MemoryStore {
    async fn begin(&self, path: &StorePath, _expected_size: Option<u64>) -> Result<UploadId, StorageError> {
        let mut objects = self.objects_mut();
        let ticket = objects.begin(path);
        let id = UploadId(ticket.1.to_string());
        objects.shared.insert(ticket, Vec::new());
        Ok(id)
    }

    async fn join(&self, path: &StorePath, id: &UploadId) -> Result<Box<dyn SharedUpload>, StorageError> {
        let ticket = ticket(path, id)?;
        if !self.objects().shared.contains_key(&ticket) {
            return Err(discarded("join", path));
        }
        Ok(Box::new(Hand { store: self.clone(), ticket }))
    }

    async fn complete(
        &self,
        path: &StorePath,
        id: &UploadId,
        size: u64,
        when: Precondition,
    ) -> Result<ObjectMeta, StorageError> {
        let ticket = ticket(path, id)?;
        let mut objects = self.objects_mut();
        let Some(content) = objects.shared.get(&ticket) else { return Err(discarded("complete", path)) };
        let (expected, found) = (size, content.len() as u64);
        if found > expected {
            return Err(StorageError::LostWrite { path: path.clone(), expected, found });
        }
        refuse_unless(&objects, path, when)?;
        let mut content = objects.shared.remove(&ticket).unwrap_or_default();
        objects.uploads.remove(&ticket);
        content.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
        Ok(objects.insert(path, content).meta(path))
    }

    async fn abort(&self, path: &StorePath, id: &UploadId) -> Result<(), StorageError> {
        let ticket = ticket(path, id)?;
        let mut objects = self.objects_mut();
        objects.shared.remove(&ticket);
        objects.uploads.remove(&ticket);
        Ok(())
    }
}

struct Hand {
    store: MemoryStore,
    ticket: Ticket,
}

#[async_trait]
impl SharedUpload for Hand {
    async fn write_at(&mut self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        let mut objects = self.store.objects_mut();
        let Some(content) = objects.shared.get_mut(&self.ticket) else {
            return Err(discarded("write", &self.ticket.0));
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(data.len());
        if content.len() < end {
            content.resize(end, 0);
        }
        content[start..end].copy_from_slice(data);
        Ok(())
    }

    async fn flush(self: Box<Self>) -> Result<(), StorageError> {
        Ok(())
    }
}

fn ticket(path: &StorePath, UploadId(id): &UploadId) -> Result<Ticket, StorageError> {
    match id.parse() {
        Ok(number) => Ok((path.clone(), number)),
        Err(_) => Err(discarded("find an upload of", path)),
    }
}
