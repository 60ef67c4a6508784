//! What takes long to make or to download, in a folder that outlives the clone.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::run::{Failure, Shell};

/// No download or build for it takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(12 * 60);

/// Something that is kept.
pub(crate) struct Kept<'a> {
    /// Its name in the folder: another version has another one.
    pub(crate) name: &'a str,
    /// What it is, and what it costs, for people.
    pub(crate) what: &'a str,
    /// What it takes on disk while it is made, in KiB.
    pub(crate) room: u64,
}

impl Kept<'_> {
    /// Where it is. It is made aside if it is not there or not whole, and put into its place when it is complete.
    pub(crate) fn get(
        &self,
        shell: &Shell,
        is_whole: impl Fn(&Path) -> bool,
        make: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<PathBuf, Failure> {
        let cache = folder()?;
        let place = cache.join(self.name);
        if is_whole(&place) {
            println!("using {}", place.display());
            return Ok(place);
        }
        fs::create_dir_all(&cache).map_err(|error| cannot("make", &cache, &error))?;
        remove_leftovers(&cache);
        self.need_room(shell, &cache)?;
        println!("making {} in {}", self.what, place.display());
        let start = Instant::now();
        let aside = cache.join(format!("{}.{ASIDE}{}", self.name, std::process::id()));
        let made = make(&aside).and_then(|()| put(&aside, &place, is_whole));
        if made.is_err() {
            drop(fs::remove_dir_all(&aside));
        } else {
            println!("made in {:.0} s; {}", start.elapsed().as_secs_f64(), size(shell, &place));
        }
        made.map(|()| place)
    }

    /// Fails rather than fills the disk.
    fn need_room(&self, shell: &Shell, cache: &Path) -> Result<(), Failure> {
        let mut df = shell.program("df");
        df.arg("-Pk").arg(cache);
        let table = shell.output(df)?;
        let free = table.lines().last().and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
        match free {
            Some(free) if free < self.room => Err(Failure::new(format!(
                "{} has {} MiB left of the {} that it takes",
                cache.display(),
                free >> 10,
                self.room >> 10
            ))),
            _ => Ok(()),
        }
    }
}

/// The folder of all that.
fn folder() -> Result<PathBuf, Failure> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || Some(folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?.join("dcp-rs"));
    let none = || Failure::new("neither DCP_CACHE nor XDG_CACHE_HOME nor HOME names a folder to keep it in");
    let cache = folder("DCP_CACHE").or_else(user).ok_or_else(none)?;
    std::path::absolute(&cache).map_err(|error| cannot("find", &cache, &error))
}

/// The ending of what is being made, followed by the number of the process that makes it.
const ASIDE: &str = "making-";

/// Removes what was begun so long ago that nobody is still at it.
fn remove_leftovers(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_aside = path.extension().and_then(OsStr::to_str).is_some_and(|ending| ending.starts_with(ASIDE));
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|begun| begun.elapsed().ok());
        if is_aside && age.is_some_and(|age| age > 5 * LIMIT) {
            drop(fs::remove_dir_all(path));
        }
    }
}

/// Puts what is complete into its place, unless somebody else was faster.
fn put(made: &Path, place: &Path, is_whole: impl Fn(&Path) -> bool) -> Result<(), Failure> {
    if !is_whole(made) {
        return Err(Failure::new(format!("{} was made, but does not work", made.display())));
    }
    if place.exists() && !is_whole(place) {
        fs::remove_dir_all(place).map_err(|error| cannot("remove", place, &error))?;
    }
    match fs::rename(made, place) {
        Err(_) if is_whole(place) => {
            drop(fs::remove_dir_all(made));
            Ok(())
        }
        renamed => renamed.map_err(|error| cannot("make", place, &error)),
    }
}

/// What it takes on disk, for people.
fn size(shell: &Shell, place: &Path) -> String {
    let mut du = shell.program("du");
    du.arg("-sh").arg(place);
    shell.output(du).unwrap_or_default().trim().replace('\t', " in ")
}

/// A failure of a file or folder.
pub(crate) fn cannot(verb: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {verb} {}: {error}", path.display()))
}
