//! Uploads that go wrong.

use async_trait::async_trait;
use dcp_storage::{ObjectMeta, Precondition, StorageError, Store, StorePath, Upload};

use super::{Broken, Defect, locked};

pub(super) async fn begin(
    store: &Broken,
    path: StorePath,
    expected_size: Option<u64>,
) -> Result<Box<dyn Upload>, StorageError> {
    let exists = StorageError::AlreadyExists { location: store.location(), path: path.clone() };
    let found = store.inner.head(&path).await.is_ok();
    let taken = match store.defect {
        Defect::UploadsReplace => false,
        Defect::DroppedUploadsKeepTheName => found || locked(&store.shared.begun).contains(&path),
        Defect::TombstonesBlockCreate => {
            found || locked(&store.shared.deleted).iter().any(|deleted| deleted.path == path)
        }
        _ => found,
    };
    if taken {
        return Err(exists);
    }
    locked(&store.shared.begun).insert(path.clone());
    Ok(Box::new(BrokenUpload {
        store: store.clone(),
        path,
        expected_size,
        content: Vec::new(),
        writes: 0,
        over: false,
    }))
}

struct BrokenUpload {
    store: Broken,
    path: StorePath,
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
        self.over();
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
        self.over();
        match self.store.defect {
            Defect::AbortKeepsTheObject => {
                self.store.inner.publish(&self.path, &self.content, Precondition::None).await.map(drop)
            }
            _ => self.store.inner.delete(&self.path).await,
        }
    }
}

impl BrokenUpload {
    fn over(&mut self) {
        self.over = true;
        locked(&self.store.shared.begun).remove(&self.path);
    }
}

impl Drop for BrokenUpload {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        match self.store.defect {
            Defect::DroppedUploadsKeepTheName => {}
            Defect::DropKeepsTheObject => {
                let published = self.store.inner.publish(&self.path, &self.content, Precondition::None);
                dcp_storage::conformance::block_on(published).expect("memory takes it");
            }
            _ => self.over(),
        }
    }
}
