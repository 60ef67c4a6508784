//! Which key an object has in the bucket.

use dcp_storage::{DataName, StorageError, StorePath};
use object_store::path::Path;

/// Where data files lie below the prefix of a bucket.
///
/// It only decides where new ones are written: a name is looked for both ways, and listed from both, so that a reader need not be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyLayout {
    /// Side by side, under their own names.
    #[default]
    Flat,
    /// The data files of ranks (`__{rank}_{number}….distcp`) each behind a hash of its name (`step-9/.dcp-3f/__7_0.distcp`), one of 256, for
    /// stores that allow so many requests a second for each prefix. Everything else keeps its place. Other programs, PyTorch among them,
    /// do not find the files there.
    Spread,
}

/// The names of a store as keys of a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    root: Option<StorePath>,
    layout: KeyLayout,
}

impl Keys {
    pub(crate) fn below(root: Option<StorePath>) -> Self {
        Self { root, layout: KeyLayout::default() }
    }

    pub(crate) fn laid_out(self, layout: KeyLayout) -> Self {
        Self { layout, ..self }
    }

    /// The key of the root itself.
    pub(crate) fn root(&self) -> Option<Path> {
        self.root.as_ref().and_then(|root| Path::parse(root.as_str()).ok())
    }

    /// The key that an object gets.
    ///
    /// # Errors
    /// [`StorageError::InvalidPath`] if the name is one that the layout needs, or is too long below this root.
    pub(crate) fn of(&self, path: &StorePath) -> Result<Path, StorageError> {
        self.key(path, self.layout)
    }

    /// The key that an object may have as well, from a saver with another layout.
    pub(crate) fn elsewhere(&self, path: &StorePath) -> Result<Option<Path>, StorageError> {
        let other = match self.layout {
            KeyLayout::Flat => KeyLayout::Spread,
            KeyLayout::Spread => KeyLayout::Flat,
        };
        is_data(path.split().1).then(|| self.key(path, other)).transpose()
    }

    /// The object that a key belongs to, if it is one below the root.
    pub(crate) fn path_of(&self, key: &Path) -> Option<StorePath> {
        let key = key.as_ref();
        let below = match &self.root {
            Some(root) => key.strip_prefix(root.as_str())?.strip_prefix('/')?,
            None => key,
        };
        let path = StorePath::parse(below).ok()?;
        let Some((directory, on)) = on_shelf(&path) else { return Some(path) };
        let name = path.split().1;
        if !is_data(name) || on != shelf(name) {
            return None;
        }
        StorePath::parse(&inside(directory.as_ref(), name)).ok()
    }

    fn key(&self, path: &StorePath, layout: KeyLayout) -> Result<Path, StorageError> {
        let refused = |reason| StorageError::InvalidPath { path: path.to_string(), reason };
        if on_shelf(path).is_some() {
            return Err(refused("directories named '.dcp-' and two digits are the store's own"));
        }
        let (directory, name) = path.split();
        let spread = layout == KeyLayout::Spread && is_data(name);
        let name = if spread { format!("{}/{name}", shelf(name)) } else { name.to_owned() };
        let key = inside(self.root.as_ref(), &inside(directory.as_ref(), &name));
        if key.len() > StorePath::MAX_LENGTH {
            return Err(refused("it is longer than 1024 bytes together with what is before it in the bucket"));
        }
        Path::parse(&key).map_err(|_| refused("it cannot be a key of a bucket"))
    }
}

fn inside(directory: Option<&StorePath>, name: &str) -> String {
    directory.map_or_else(|| name.to_owned(), |directory| format!("{directory}/{name}"))
}

fn is_data(name: &str) -> bool {
    StorePath::parse(name).is_ok_and(|name| DataName::parse(&name).is_some())
}

/// The directory that a spread name is in. Which one is for ever: it is where the object is looked for.
fn shelf(name: &str) -> String {
    format!("{SHELF}{:02x}", crc32fast::hash(name.as_bytes()) & 0xff)
}

/// The shelf that something is on right away, and what the shelf is in.
fn on_shelf(path: &StorePath) -> Option<(Option<StorePath>, String)> {
    let shelf = path.split().0?;
    let (directory, name) = shelf.split();
    is_shelf(name).then(|| (directory, name.to_owned()))
}

fn is_shelf(component: &str) -> bool {
    let digits = component.strip_prefix(SHELF).unwrap_or_default();
    digits.len() == 2 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

const SHELF: &str = ".dcp-";

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> StorePath {
        StorePath::parse(name).expect(name)
    }

    fn keys(layout: KeyLayout) -> [Keys; 2] {
        [None, Some(path("runs/1"))].map(|root| Keys::below(root).laid_out(layout))
    }

    #[test]
    fn every_key_leads_back_to_its_name() {
        let names = ["__0_0.distcp", "__12_3.g7.distcp", "index.dcp", "step/__0_0.distcp", ".dcp-", "%41 ü#?", "a"];
        for keys in [keys(KeyLayout::Flat), keys(KeyLayout::Spread)].into_iter().flatten() {
            for name in names.map(path) {
                let key = keys.of(&name).expect("a key");
                assert_eq!(keys.path_of(&key), Some(name.clone()), "{key}");
                if let Some(other) = keys.elsewhere(&name).expect("a key") {
                    assert_ne!(other, key);
                    assert_eq!(keys.path_of(&other), Some(name), "{other}");
                }
            }
        }
    }

    /// Written down, since what is in buckets lies there.
    #[test]
    fn only_data_files_are_spread() {
        let [_, keys] = keys(KeyLayout::Spread);
        let key = |name| keys.of(&path(name)).expect("a key").to_string();
        assert_eq!(key("index.dcp"), "runs/1/index.dcp");
        assert_eq!(key("step/__0_0.distcp"), "runs/1/step/.dcp-05/__0_0.distcp");
        assert_eq!(key("__0_0.distcp"), "runs/1/.dcp-05/__0_0.distcp");
        assert_eq!(keys.elsewhere(&path("index.dcp")).expect("a key"), None);
    }

    #[test]
    fn keys_of_others_are_no_objects() {
        let [_, keys] = keys(KeyLayout::Flat);
        for key in ["runs/1", "runs/10/a", "runs", "elsewhere/a", "runs/1/.dcp-00/__0_0.distcp", "runs/1/.dcp-05/index"]
        {
            assert_eq!(keys.path_of(&Path::parse(key).expect("a key")), None, "{key}");
        }
    }

    #[test]
    fn names_that_would_not_lead_back_are_refused() {
        let [plain, below] = keys(KeyLayout::Flat);
        let refused = |keys: &Keys, name: &str| {
            let result = keys.of(&path(name));
            assert!(matches!(result, Err(StorageError::InvalidPath { .. })), "{name}: {result:?}");
        };
        refused(&plain, ".dcp-05/__0_0.distcp");
        refused(&plain, "step/.dcp-05/__0_0.distcp");
        let longest = ["x"; 512].join("/");
        assert!(plain.of(&path(&longest)).is_ok());
        refused(&below, &longest);
    }
}
