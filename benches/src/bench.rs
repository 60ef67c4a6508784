//! What every contest is given.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::de::DeserializeOwned;

use crate::Fault;
use crate::contestants::{Python, Shape, TorchRanks, printed};
#[cfg(feature = "s3")]
use crate::contests::bucket::Place;
use crate::sizes::Sizes;

/// Sizes, places, and who takes part.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) sizes: Sizes,
    pub(crate) repeat: usize,
    /// Where files go.
    pub(crate) dir: PathBuf,
    /// Without it PyTorch takes no part.
    pub(crate) python: Option<Python>,
    /// The command `dcpctl`, which plans.
    pub(crate) dcpctl: Option<PathBuf>,
    #[cfg(feature = "s3")]
    pub(crate) bucket: Option<Place>,
}

impl Bench {
    /// A directory for one contestant, which is not there yet.
    pub(crate) fn place(&self, name: &str) -> Result<PathBuf, Fault> {
        let place = self.dir.join(name);
        remove(&place)?;
        Ok(place)
    }

    /// PyTorch's ranks, to be shared by several turns; none, and a word why, if they cannot be had.
    pub(crate) fn torch_ranks(&self, ranks: usize, shape: Shape) -> Option<RefCell<TorchRanks>> {
        let ranks = TorchRanks::start(self.python.as_ref()?, ranks, shape, &self.dir);
        ranks.inspect_err(|why| println!("PyTorch is left out: {why}")).ok().map(RefCell::new)
    }

    /// This very program, to do something in a process of its own.
    pub(crate) fn this_program(&self) -> Command {
        // It is there even if it has been built anew meanwhile.
        Command::new("/proc/self/exe")
    }
}

/// What a program prints, as JSON.
pub(crate) fn json<T: DeserializeOwned>(command: &mut Command) -> Result<T, Fault> {
    let printed = printed(command)?;
    serde_json::from_slice(&printed).map_err(|error| {
        let program = Path::new(command.get_program()).display();
        format!("{program} printed {:?}: {error}", String::from_utf8_lossy(&printed)).into()
    })
}

/// Removes a file or a directory, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Fault> {
    if path.is_dir() {
        fs::remove_dir_all(path)?;
    } else if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}
