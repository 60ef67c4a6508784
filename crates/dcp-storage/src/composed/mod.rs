//! A writer and a reader made of any format and any store.

mod claim;
mod reader;
mod writer;

pub use reader::ComposedReader;
pub use writer::ComposedWriter;

use bytes::Bytes;

use crate::{ReadRange, StorageError, Store, StorePath, Version};

/// A small object and its version. Nothing is allocated but for bytes that are there.
async fn read_whole(store: &dyn Store, path: &StorePath) -> Result<(Bytes, Version), StorageError> {
    let mut attempts = 0..16;
    while attempts.next().is_some() {
        let before = store.head(path).await?;
        let mut content = vec![0; before.size as usize];
        let read = store.read(path, &mut [ReadRange { offset: 0, buffer: &mut content }]).await;
        let after = store.head(path).await?;
        match (before.version, after.version) {
            // Nobody replaced it meanwhile.
            (Some(before), Some(after)) if before == after => return read.map(|()| (content.into(), after)),
            (None, _) | (_, None) => {
                let version = Version(format!("{:?}", dcp_types::Digest::of(&content)));
                return read.map(|()| (content.into(), version));
            }
            _ => {}
        }
    }
    Err(StorageError::Overwritten { location: store.location(), path: path.clone() })
}
