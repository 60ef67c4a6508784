//! Reads small objects that others may replace meanwhile, at stores that cannot do it in one step.

use bytes::Bytes;

use crate::{ReadRange, StorageError, Store, StorePath, Version};

/// How often it is tried to read an object between two replacements.
const ATTEMPTS: usize = 16;

/// All bytes of one state of an object, and its version: looks before and after.
pub(crate) async fn in_steps<S: Store + ?Sized>(
    store: &S,
    path: &StorePath,
    longest: u64,
) -> Result<(Bytes, Version), StorageError> {
    for _ in 0..ATTEMPTS {
        let before = store.head(path).await?;
        if before.size > longest {
            return Err(StorageError::too_long(path, before.size, longest));
        }
        let mut content = vec![0; before.size as usize];
        let read = store.read(path, &mut [ReadRange { offset: 0, buffer: &mut content }]).await;
        let after = store.head(path).await?;
        match (before.version, after.version) {
            // Nobody replaced it meanwhile.
            (Some(before), Some(after)) if before == after => return read.map(|()| (content.into(), after)),
            // Without versions the size is all there is to go by: one range is of one state, so for a mistake the object would have to be
            // replaced twice meanwhile, by one of another size in between.
            (None, _) | (_, None) if before.size == after.size => {
                let version = Version::of_content(&content);
                return read.map(|()| (content.into(), version));
            }
            _ => {}
        }
    }
    Err(StorageError::Overwritten { location: store.location(), path: path.clone() })
}
