//! What the clauses share: putting objects, getting them back, and saying what went wrong.

use std::fmt::Debug;

use crate::{Precondition, ReadRange, StorageError, Store, StorePath, Version};

/// Nothing, or what is wrong in words.
pub(super) type Checked<T = ()> = Result<T, String>;

/// Fails unless a result is the error that the contract names.
macro_rules! expect_error {
    ($result:expr, $variant:ident, $($what:tt)+) => {
        match $result {
            Err($crate::StorageError::$variant { .. }) => Ok(()),
            other => Err(format!("{} should be {}, but gave {other:?}", format!($($what)+), stringify!($variant))),
        }
    };
}
pub(super) use expect_error;

/// Turns an error that should not have been into words.
pub(super) trait Must<T> {
    fn must(self, what: &str) -> Checked<T>;
}

impl<T> Must<T> for Result<T, StorageError> {
    fn must(self, what: &str) -> Checked<T> {
        self.map_err(|error| format!("{what} should succeed, but gave {error:?}"))
    }
}

pub(super) fn equal<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Checked {
    if found == expected { Ok(()) } else { Err(format!("{what}: expected {expected:?}, found {found:?}")) }
}

/// Compares contents without printing megabytes.
pub(super) fn same_bytes(what: &str, found: &[u8], expected: &[u8]) -> Checked {
    if found.len() != expected.len() {
        return Err(format!("{what}: expected {} bytes, found {}", expected.len(), found.len()));
    }
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        None => Ok(()),
        Some(at) => Err(format!("{what}: byte {at} is {:#04x}, expected {:#04x}", found[at], expected[at])),
    }
}

pub(super) fn path(path: &str) -> StorePath {
    StorePath::parse(path).expect("the suite's own names are valid")
}

/// Bytes that look the same nowhere: no shift, swap or repetition goes unnoticed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}

pub(super) async fn put(store: &dyn Store, path: &StorePath, content: &[u8]) -> Checked {
    let mut upload = store.create(path, Some(content.len() as u64)).await.must(&format!("create of {path}"))?;
    upload.write(content).await.must(&format!("write to {path}"))?;
    upload.finish().await.must(&format!("finish of {path}"))?;
    Ok(())
}

pub(super) async fn publish(
    store: &dyn Store,
    path: &StorePath,
    content: &[u8],
    when: Precondition,
) -> Checked<Version> {
    let what = format!("publish of {path} with {when:?}");
    store.publish(path, content, when).await.must(&what)
}

pub(super) async fn read(
    store: &dyn Store,
    path: &StorePath,
    offset: u64,
    length: usize,
) -> Result<Vec<u8>, StorageError> {
    // Not zero, so that a range "filled" by leaving it alone is noticed even where zeros are expected.
    let mut buffer = vec![0xa5; length];
    store.read(path, &mut [ReadRange { offset, buffer: &mut buffer }]).await?;
    Ok(buffer)
}

/// The object is there with exactly this content, whichever way one looks at it.
pub(super) async fn holds(store: &dyn Store, path: &StorePath, content: &[u8]) -> Checked {
    let meta = store.head(path).await.must(&format!("head of {path}"))?;
    equal("the path that head gives", &meta.path, path)?;
    equal(&format!("the size of {path} by head"), meta.size, content.len() as u64)?;
    let found = read(store, path, 0, content.len()).await.must(&format!("read of all of {path}"))?;
    same_bytes(&format!("the content of {path}"), &found, content)?;
    let listed = store.list(None).await.must("list")?;
    let sizes: Vec<_> = listed.iter().filter(|meta| meta.path == *path).map(|meta| meta.size).collect();
    equal(&format!("the sizes listed for {path}"), sizes, vec![content.len() as u64])
}

/// There is no object of this name, whichever way one looks.
pub(super) async fn lacks(store: &dyn Store, path: &StorePath) -> Checked {
    expect_error!(store.head(path).await, NotFound, "head of {path}")?;
    expect_error!(read(store, path, 0, 1).await, NotFound, "read of {path}")?;
    let listed = names(store, None).await?;
    if listed.iter().any(|name| name == path.as_str()) { Err(format!("{path} should not be listed")) } else { Ok(()) }
}

pub(super) async fn names(store: &dyn Store, prefix: Option<&StorePath>) -> Checked<Vec<String>> {
    let listed = store.list(prefix).await.must(&format!("list of {prefix:?}"))?;
    Ok(listed.into_iter().map(|meta| meta.path.into()).collect())
}
