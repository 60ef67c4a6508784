//! Names of objects in a [`Store`](crate::Store).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::StorageError;

/// The name of an object, relative to the root of a store: components joined by `/`.
///
/// A `StorePath` cannot leave its root. It has no empty, `.` or `..` component, no leading or
/// trailing `/`, no backslash and no control character; a component has at most
/// [`MAX_COMPONENT`](Self::MAX_COMPONENT) bytes and the whole at most [`MAX_LENGTH`](Self::MAX_LENGTH).
/// Everything else (spaces, Unicode, `%`, leading dots or dashes) is allowed and kept as it is.
///
/// ```
/// use dcp_storage::StorePath;
/// assert!(StorePath::parse("step-7/__0_0.distcp").is_ok());
/// assert!(StorePath::parse("../elsewhere").is_err());
/// assert!(StorePath::parse("/etc/passwd").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(Box<str>);

impl StorePath {
    /// The longest component, in bytes: what common file systems take.
    pub const MAX_COMPONENT: usize = 255;
    /// The longest path, in bytes: what object stores take.
    pub const MAX_LENGTH: usize = 1024;

    /// Checks a path that comes from outside.
    ///
    /// # Errors
    /// [`StorageError::InvalidPath`] says which rule the path breaks.
    pub fn parse(path: &str) -> Result<Self, StorageError> {
        match fault(path) {
            None => Ok(Self(path.into())),
            Some(reason) => Err(StorageError::InvalidPath { path: path.to_owned(), reason }),
        }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this path is `prefix`, or `prefix` and more components.
    ///
    /// ```
    /// # use dcp_storage::{StorageError, StorePath};
    /// let path = StorePath::parse("step-7/__0_0.distcp")?;
    /// assert!(path.starts_with(&StorePath::parse("step-7")?));
    /// assert!(!path.starts_with(&StorePath::parse("step")?));
    /// # Ok::<(), StorageError>(())
    /// ```
    #[must_use]
    pub fn starts_with(&self, prefix: &StorePath) -> bool {
        self.0.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The path of what has this name in the directory that `self` is. It may be longer than [`MAX_LENGTH`](Self::MAX_LENGTH): whether a
    /// store takes it, the store says.
    #[must_use]
    pub fn join(&self, name: &StorePath) -> Self {
        Self(format!("{self}/{name}").into())
    }

    /// The name that this path has in a directory, if it leads to something in it.
    ///
    /// ```
    /// # use dcp_storage::{StorageError, StorePath};
    /// let path = StorePath::parse("run/step-7/__0_0.distcp")?;
    /// let below = path.below(&StorePath::parse("run/step-7")?);
    /// assert_eq!(below, Some(StorePath::parse("__0_0.distcp")?));
    /// # Ok::<(), StorageError>(())
    /// ```
    #[must_use]
    pub fn below(&self, directory: &StorePath) -> Option<Self> {
        let rest = self.0.strip_prefix(directory.as_str())?.strip_prefix('/')?;
        Some(Self(rest.into()))
    }

    /// The directory that it leads to something in, and the name in it; no directory if it is at the root.
    #[must_use]
    pub fn split(&self) -> (Option<Self>, &str) {
        match self.0.rsplit_once('/') {
            Some((directory, name)) => (Some(Self(directory.into())), name),
            None => (None, &self.0),
        }
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

fn fault(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.len() > StorePath::MAX_LENGTH {
        return Some("it is longer than 1024 bytes");
    }
    if path.contains('\\') {
        return Some("it contains a backslash");
    }
    if path.chars().any(char::is_control) {
        return Some("it contains a control character");
    }
    path.split('/').find_map(|component| match component {
        "" => Some("it has an empty component, or starts or ends with '/'"),
        "." | ".." => Some("it has a '.' or '..' component"),
        long if long.len() > StorePath::MAX_COMPONENT => Some("a component is longer than 255 bytes"),
        _ => None,
    })
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StorePath {
    type Err = StorageError;
    fn from_str(path: &str) -> Result<Self, StorageError> {
        Self::parse(path)
    }
}

impl TryFrom<String> for StorePath {
    type Error = StorageError;
    fn try_from(path: String) -> Result<Self, StorageError> {
        Self::parse(&path)
    }
}

impl From<StorePath> for String {
    fn from(path: StorePath) -> Self {
        path.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_but_harmless_names_are_kept() {
        for name in ["a", "a b", "ünïcödé/模型", "%2e%2e/x", "-rf", ".hidden", "...", "a..b", "x/.../y"] {
            assert_eq!(StorePath::parse(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn paths_that_could_escape_or_confuse_are_refused() {
        let long_component = "x".repeat(256);
        let long_path = "abc/".repeat(300) + "x";
        for name in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "./a",
            "a\0b",
            "a\nb",
            "a\\b",
            &long_component,
            &long_path,
        ] {
            let refused = StorePath::parse(name);
            assert!(matches!(refused, Err(StorageError::InvalidPath { .. })), "{name:?}: {refused:?}");
        }
    }
}
