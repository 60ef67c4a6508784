//! A model is saved on one mesh, loaded on two others, and damaged.

mod cluster;
mod compare;
mod damage;
mod file;
mod generate;
mod load;
mod model;
mod print;
mod save;

use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::args::Demo;
use crate::failure::Failure;
use cluster::Cluster;

/// Runs the demo.
pub(crate) fn demo(args: &Demo, out: &mut dyn Write) -> Result<(), Failure> {
    let place = Place::new(args.dir.as_deref())?;
    let model = match &args.model {
        Some(path) => file::open(path)?,
        None => generate::transformer()?,
    };
    print::model(out, &model)?;

    let training = Cluster::training()?;
    let saved = save::save(&model, &training, place.path())?;
    print::saved(out, &model, &training, &saved, &place)?;

    let lone = Cluster::line()?;
    for cluster in [&lone, &Cluster::rectangle()?] {
        let report = load::load(&model, cluster, place.path())?;
        print::loaded(out, cluster, &report)?;
    }
    let elapsed = compare::whole_tensors(&model, place.path())?;
    print::compared(out, &model, elapsed)?;

    let found = damage::flip_and_load(&model, &lone, place.path())?;
    print::damaged(out, &found)?;
    Ok(())
}

/// Where the checkpoint goes.
enum Place {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Place {
    fn new(dir: Option<&Path>) -> Result<Self, Failure> {
        let Some(dir) = dir else {
            let made = tempfile::Builder::new().prefix("dcpctl-demo-").tempdir();
            return Ok(Self::Temporary(made.map_err(|error| Failure::path("make", &std::env::temp_dir(), &error))?));
        };
        match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Ok(false) => {
                let dir = dir.display();
                let text = format!("{dir} is not empty; the demo writes into a new or an empty directory only");
                return Err(Failure::Impossible(text));
            }
            Err(error) => return Err(Failure::path("use", dir, &error)),
        }
        Ok(Self::Kept(dir.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }

    fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }
}
