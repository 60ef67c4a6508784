//! Uploads that go wrong.

use std::io;

use async_trait::async_trait;
use dcp_storage::{ObjectMeta, Precondition, StorageError, Store, StorePath, Upload};

use super::{Broken, Defect, Ticket, locked};

pub(super) async fn begin(
    store: &Broken,
    path: StorePath,
    expected_size: Option<u64>,
) -> Result<Box<dyn Upload>, StorageError> {
    let exists = StorageError::AlreadyExists { location: store.location(), path: path.clone() };
    let found = store.inner.head(&path).await.is_ok();
    let taken = match store.defect {
        Defect::UploadsReplace => false,
        Defect::DroppedUploadsKeepTheName => found || store.has_begun(&path),
        Defect::DiscardedUploadsKeepTheName => found || locked(&store.shared.discarded).contains(&path),
        Defect::TombstonesBlockCreate => {
            found || locked(&store.shared.deleted).iter().any(|deleted| deleted.path == path)
        }
        _ => found,
    };
    if taken {
        return Err(exists);
    }
    let ticket = (path.clone(), store.number(), store.handle);
    locked(&store.shared.begun).insert(ticket.clone());
    Ok(Box::new(BrokenUpload {
        store: store.clone(),
        path,
        ticket,
        expected_size,
        content: Vec::new(),
        writes: 0,
        over: false,
    }))
}

struct BrokenUpload {
    store: Broken,
    path: StorePath,
    ticket: Ticket,
    expected_size: Option<u64>,
    content: Vec<u8>,
    writes: usize,
    over: bool,
}

#[async_trait]
impl Upload for BrokenUpload {
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError> {
        self.writes += 1;
        match self.store.defect {
            Defect::LosesTheSecondWrite if self.writes == 2 => {}
            Defect::EachWriteStartsOver if !data.is_empty() => self.content = data.to_vec(),
            Defect::LosesAllButTheFirstWrite if self.writes > 1 => {}
            Defect::UploadsShareABuffer => locked(&self.store.shared.upload_buffer).extend_from_slice(data),
            _ => self.content.extend_from_slice(data),
        }
        if self.store.is(Defect::ShowsObjectsBeforeFinish) {
            self.store.inner.publish(&self.path, &self.content, Precondition::None).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<ObjectMeta, StorageError> {
        let size = self.content.len() as u64;
        match self.store.defect {
            Defect::UploadsShareABuffer => {
                self.content = std::mem::take(&mut *locked(&self.store.shared.upload_buffer))
            }
            Defect::CutsLargeObjects => self.content.truncate(8 << 20),
            Defect::LosesTheLastByte => drop(self.content.pop()),
            Defect::TakesTheHintForALimit => {
                self.content.truncate(self.expected_size.map_or(usize::MAX, |size| size as usize));
            }
            Defect::PadsToTheHint => {
                let padded = self.content.len().max(self.expected_size.map_or(0, |size| size as usize));
                self.content.resize(padded, 0);
            }
            _ => {}
        }
        let discarded = match self.store.defect {
            Defect::FinishedUploadsStayUnfinished => !self.is_begun(),
            _ => !self.over(),
        };
        self.over = true;
        if discarded && !self.store.is(Defect::FinishesWhatWasDiscarded) {
            return Err(self.store.io(io::ErrorKind::NotFound, &self.path));
        }
        let mut meta = ObjectMeta { path: self.path.clone(), size, version: None };
        match self.store.defect {
            Defect::LosesEmptyUploads if self.content.is_empty() => return Ok(meta),
            Defect::FinishGivesNoSize => meta.size = 0,
            _ => {}
        }
        let replaces = matches!(
            self.store.defect,
            Defect::UploadsReplace | Defect::FinishReplaces | Defect::ShowsObjectsBeforeFinish
        );
        if !replaces && self.store.inner.head(&self.path).await.is_ok() {
            return Err(StorageError::AlreadyExists { location: self.store.location(), path: self.path.clone() });
        }
        self.store.inner.publish(&self.path, &self.content, Precondition::None).await?;
        Ok(meta)
    }

    async fn abort(mut self: Box<Self>) -> Result<(), StorageError> {
        if self.store.is(Defect::FailsToAbortWhatWasDiscarded) && !self.is_begun() {
            return Err(self.store.io(io::ErrorKind::NotFound, &self.path));
        }
        self.over = true;
        if self.store.is(Defect::AbortedUploadsStayUnfinished) {
            return Ok(());
        }
        self.over();
        match self.store.defect {
            Defect::AbortKeepsTheObject => {
                self.store.inner.publish(&self.path, &self.content, Precondition::None).await.map(drop)
            }
            Defect::ShowsObjectsBeforeFinish => self.store.inner.delete(&self.path).await,
            _ => Ok(()),
        }
    }
}

impl BrokenUpload {
    /// Whether it was under way until now.
    fn over(&mut self) -> bool {
        self.over = true;
        locked(&self.store.shared.begun).remove(&self.ticket)
    }

    fn is_begun(&self) -> bool {
        locked(&self.store.shared.begun).contains(&self.ticket)
    }
}

impl Drop for BrokenUpload {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        match self.store.defect {
            Defect::DroppedUploadsKeepTheName | Defect::DroppedUploadsStayUnfinished => {}
            Defect::DropKeepsTheObject => {
                let published = self.store.inner.publish(&self.path, &self.content, Precondition::None);
                dcp_storage::conformance::block_on(published).expect("memory takes it");
            }
            _ => drop(self.over()),
        }
    }
}
