//! A name of one's own below a place, and its removal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use dcp::{Error, Location, Store, StorePath, Subdirectory};

use super::block_on;
use crate::failure::Failure;

/// Where everything goes that is written.
pub(super) struct Place {
    pub(super) plain: Arc<dyn Store>,
    pub(super) checkpoint: Arc<dyn Store>,
    /// What has to be removed of a file system besides the objects, outermost last.
    directories: Vec<PathBuf>,
}

impl Place {
    pub(super) fn new(location: &Location) -> Result<Self, Failure> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("dcpctl-bench-{}-{}", std::process::id(), now.as_nanos());
        let store = location.directory(true)?;
        let below = |part: &str| -> Result<Arc<dyn Store>, Failure> {
            let prefix = StorePath::parse(&format!("{name}/{part}")).map_err(Error::from)?;
            Ok(Arc::new(Subdirectory::new(Arc::clone(&store), prefix)))
        };
        let (plain, checkpoint) = (below("plain")?, below("checkpoint")?);
        let mut directories = Vec::new();
        if let Some(path) = location.path() {
            directories.push(path.join(name));
            // Those that are not there yet.
            directories.extend(path.ancestors().take_while(|path| !path.exists()).map(PathBuf::from));
        }
        Ok(Self { plain, checkpoint, directories })
    }

    /// Removes all objects.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        for store in [&self.plain, &self.checkpoint] {
            for path in block_on(store.unfinished())? {
                block_on(store.discard_unfinished(&path))?;
            }
            for object in block_on(store.list(None))? {
                block_on(store.delete(&object.path))?;
            }
        }
        Ok(())
    }

    /// Removes everything.
    pub(super) fn remove(self) -> Result<(), Failure> {
        self.clear()?;
        let Some((own, new)) = self.directories.split_first() else { return Ok(()) };
        if own.exists() {
            std::fs::remove_dir_all(own).map_err(|error| Failure::path("remove", own, &error))?;
        }
        // Whoever has put something there meanwhile keeps it.
        new.iter().take_while(|directory| std::fs::remove_dir(directory).is_ok()).for_each(drop);
        Ok(())
    }
}
