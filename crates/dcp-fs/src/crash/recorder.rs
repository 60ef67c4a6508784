//! The real disk, with a record of what changed it and a fault where wanted.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use super::model::Change;
use crate::beneath;
use crate::disk::{Disk, RealDisk};

#[derive(Debug, Default)]
pub(super) struct Recorder {
    log: Mutex<Log>,
    fault: Option<(usize, io::ErrorKind)>,
}

#[derive(Debug, Default)]
struct Log {
    changes: Vec<Change>,
    calls: usize,
    /// A number of our own for each file, since inodes are used again.
    files: HashMap<u64, usize>,
    made: usize,
}

impl Recorder {
    /// The `k`-th change fails with this error and has no effect.
    pub(super) fn failing_at(k: usize, kind: io::ErrorKind) -> Self {
        Self { log: Mutex::default(), fault: Some((k, kind)) }
    }

    pub(super) fn changes(&self) -> Vec<Change> {
        self.log().changes.clone()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no test panics while recording")
    }

    fn change<T>(
        &self,
        act: impl FnOnce() -> io::Result<T>,
        describe: impl FnOnce(&T, &mut Log) -> Change,
    ) -> io::Result<T> {
        let mut log = self.log();
        log.calls += 1;
        if let Some((k, kind)) = self.fault
            && log.calls == k + 1
        {
            return Err(kind.into());
        }
        let done = act()?;
        let change = describe(&done, &mut log);
        log.changes.push(change);
        Ok(done)
    }
}

impl Disk for Recorder {
    fn make_dir(&self, parent: &File, name: &OsStr) -> io::Result<()> {
        let name = name.to_str().expect("ours");
        self.change(
            || RealDisk.make_dir(parent, OsStr::new(name)),
            |(), _| {
                let made = beneath::step(parent, name).expect("just made");
                Change::MakeDir { parent: id(parent), name: name.to_owned(), dir: id(&made) }
            },
        )
    }

    fn make_file(&self, dir: &File, name: &str) -> io::Result<File> {
        self.change(
            || RealDisk.make_file(dir, name),
            |file, log| {
                log.made += 1;
                log.files.insert(id(file), log.made);
                Change::MakeFile { dir: id(dir), name: name.to_owned(), file: log.made }
            },
        )
    }

    fn open_file(&self, dir: &File, name: &str) -> io::Result<File> {
        RealDisk.open_file(dir, name)
    }

    fn write(&self, file: &File, data: &[u8]) -> io::Result<()> {
        self.change(
            || RealDisk.write(file, data),
            |(), log| Change::Write { file: log.files[&id(file)], offset: None, data: data.to_vec() },
        )
    }

    fn write_at(&self, file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(
            || RealDisk.write_at(file, offset, data),
            |(), log| Change::Write { file: log.files[&id(file)], offset: Some(offset), data: data.to_vec() },
        )
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.change(|| RealDisk.sync_file(file), |(), log| Change::SyncFile { file: log.files[&id(file)] })
    }

    fn rename_new(&self, dir: &File, from: &str, to: &str) -> io::Result<()> {
        self.change(|| RealDisk.rename_new(dir, from, to), |(), _| rename(dir, from, to))
    }

    fn rename_over(&self, dir: &File, from: &str, to: &str) -> io::Result<()> {
        self.change(|| RealDisk.rename_over(dir, from, to), |(), _| rename(dir, from, to))
    }

    fn remove(&self, dir: &File, name: &str) -> io::Result<()> {
        self.change(|| RealDisk.remove(dir, name), |(), _| Change::Remove { dir: id(dir), name: name.to_owned() })
    }

    fn sync_dir(&self, dir: &File) -> io::Result<()> {
        self.change(|| RealDisk.sync_dir(dir), |(), _| Change::SyncDir { dir: id(dir) })
    }
}

/// Which directory this is.
pub(super) fn inode(path: &Path) -> u64 {
    fs::metadata(path).expect("it exists").ino()
}

fn id(file: &File) -> u64 {
    file.metadata().expect("it is open").ino()
}

fn rename(dir: &File, from: &str, to: &str) -> Change {
    Change::Rename { dir: id(dir), from: from.to_owned(), to: to.to_owned() }
}
