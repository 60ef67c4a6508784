//! Reads small objects that others may replace meanwhile.

use bytes::Bytes;

use crate::{ReadRange, StorageError, Store, StorePath, Version};

/// How often it is tried to read an object between two replacements.
const ATTEMPTS: usize = 16;

/// What is longer is no index and no claim, whatever its name says. In bytes.
const LONGEST: u64 = 4 << 30;

/// All bytes of one state of an object. Cheaper than with the version, which some stores know only by reading the object.
///
/// One range is of one state, and it is whole if its size is that of the object before and after: for a mistake the object
/// would have to be replaced twice meanwhile, by one of another size in between.
pub(crate) async fn read_all(store: &dyn Store, path: &StorePath) -> Result<Bytes, StorageError> {
    for _ in 0..ATTEMPTS {
        let size = store.size(path).await?;
        let mut content = room(path, size)?;
        let read = store.read(path, &mut [ReadRange { offset: 0, buffer: &mut content }]).await;
        if store.size(path).await? == size {
            return read.map(|()| content.into());
        }
    }
    Err(StorageError::Overwritten { location: store.location(), path: path.clone() })
}

/// All bytes of one state of an object, and its version.
pub(crate) async fn read_whole(store: &dyn Store, path: &StorePath) -> Result<(Bytes, Version), StorageError> {
    for _ in 0..ATTEMPTS {
        let before = store.head(path).await?;
        let mut content = room(path, before.size)?;
        let read = store.read(path, &mut [ReadRange { offset: 0, buffer: &mut content }]).await;
        let after = store.head(path).await?;
        match (before.version, after.version) {
            // Nobody replaced it meanwhile.
            (Some(before), Some(after)) if before == after => return read.map(|()| (content.into(), after)),
            // Without versions the size is all there is to go by.
            (None, _) | (_, None) if before.size == after.size => {
                let version = Version(format!("{:?}", dcp_types::Digest::of(&content)));
                return read.map(|()| (content.into(), version));
            }
            _ => {}
        }
    }
    Err(StorageError::Overwritten { location: store.location(), path: path.clone() })
}

fn room(path: &StorePath, size: u64) -> Result<Vec<u8>, StorageError> {
    if size > LONGEST {
        let reason = format!("it has {size} bytes, and what is read whole has at most {LONGEST}");
        return Err(StorageError::Corrupt { path: path.clone(), offset: 0, reason });
    }
    Ok(vec![0; size as usize])
}
