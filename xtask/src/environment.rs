//! A Python environment with PyTorch, in a folder that outlives the clone.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::run::{Failure, Shell};
use crate::tools;

/// What is installed in it.
const REQUIREMENTS: &str = "tests/python/requirements.txt";
/// What it takes on disk, in KiB, with what is downloaded for it: about 4.2 and 2.7 GiB.
const ROOM: u64 = 8 << 20;
/// No download takes longer.
const LIMIT: Duration = Duration::from_secs(12 * 60);

/// The Python of an environment that has what is required. It is made if there is none yet, and used again while the requirements and the
/// version of Python are the same.
pub(crate) fn python(shell: &Shell) -> Result<PathBuf, Failure> {
    tools::need_venv(shell)?;
    let file = shell.root().join(REQUIREMENTS);
    let requirements = fs::read(&file).map_err(|error| cannot("read", &file, &error))?;
    let mut version = shell.program("python3");
    version.args(["-c", "import platform, sys; print(sys.version_info[:2], sys.platform, platform.machine())"]);
    let mut digest = crc32fast::Hasher::new();
    digest.update(&requirements);
    digest.update(shell.output(version)?.as_bytes());
    let place = cache()?.join(format!("torch-{:08x}", digest.finalize()));
    let python = place.join("bin/python");
    if has_pytorch(shell, &python) {
        println!("using the environment in {}", place.display());
    } else {
        make(shell, &place)?;
    }
    Ok(python)
}

/// Where things are kept that take long to make.
fn cache() -> Result<PathBuf, Failure> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || Some(folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?.join("dcp-rs"));
    let none = || Failure::new("neither DCP_CACHE nor XDG_CACHE_HOME nor HOME names a folder to keep it in");
    let cache = folder("DCP_CACHE").or_else(user).ok_or_else(none)?;
    std::path::absolute(&cache).map_err(|error| cannot("find", &cache, &error))
}

fn has_pytorch(shell: &Shell, python: &Path) -> bool {
    let mut import = shell.program(python);
    import.args(["-c", "import torch, zstandard"]);
    shell.succeeds(import)
}

/// Makes an environment aside, and puts it into its place when it is complete.
fn make(shell: &Shell, place: &Path) -> Result<(), Failure> {
    let cache = place.parent().unwrap_or(place);
    fs::create_dir_all(cache).map_err(|error| cannot("make", cache, &error))?;
    remove_leftovers(cache);
    need_room(shell, cache)?;
    println!("making an environment with PyTorch in {}: 2.7 GB to download, 4.2 GB on disk", place.display());
    let start = Instant::now();
    let aside = place.with_extension(format!("{ASIDE}{}", std::process::id()));
    let made = install(shell, &aside).and_then(|()| put(shell, &aside, place));
    if made.is_err() {
        drop(fs::remove_dir_all(&aside));
    } else {
        println!("made in {:.0} s; {}", start.elapsed().as_secs_f64(), size(shell, place));
    }
    made
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

/// Fails rather than fills the disk.
fn need_room(shell: &Shell, place: &Path) -> Result<(), Failure> {
    let mut df = shell.program("df");
    df.arg("-Pk").arg(place);
    let table = shell.output(df)?;
    let free = table.lines().last().and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    match free {
        Some(free) if free < ROOM => Err(Failure::new(format!(
            "{} has {} GiB left of the {} that it takes",
            place.display(),
            free >> 20,
            ROOM >> 20
        ))),
        _ => Ok(()),
    }
}

fn install(shell: &Shell, at: &Path) -> Result<(), Failure> {
    let mut venv = shell.program("python3");
    venv.args(["-m", "venv"]).arg(at);
    shell.run(venv)?;
    // Downloads are put beside it, where there is room, and go with it.
    let downloads = at.join("downloads");
    fs::create_dir(&downloads).map_err(|error| cannot("make", &downloads, &error))?;
    let mut pip = shell.program(at.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]);
    pip.args(["--no-deps", "--only-binary", ":all:", "--requirement", REQUIREMENTS]).env("TMPDIR", &downloads);
    shell.run_within(pip, LIMIT)?;
    fs::remove_dir_all(&downloads).map_err(|error| cannot("remove", &downloads, &error))?;
    if has_pytorch(shell, &at.join("bin/python")) {
        Ok(())
    } else {
        Err(Failure::new("PyTorch was installed, but cannot be imported"))
    }
}

/// Puts a complete environment into its place, unless somebody else was faster.
fn put(shell: &Shell, made: &Path, place: &Path) -> Result<(), Failure> {
    let python = place.join("bin/python");
    if place.exists() && !has_pytorch(shell, &python) {
        fs::remove_dir_all(place).map_err(|error| cannot("remove", place, &error))?;
    }
    match fs::rename(made, place) {
        Err(_) if has_pytorch(shell, &python) => {
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

fn cannot(verb: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {verb} {}: {error}", path.display()))
}
