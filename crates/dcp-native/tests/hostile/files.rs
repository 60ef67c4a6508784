//! What is no regular file inside the directory of a checkpoint.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use dcp::{Checkpoint, Error, StorageError};

use crate::allocator::modestly;
use crate::support::{DATA, INDEX, small};

/// Puts something in the place of each file of a checkpoint in turn.
fn replaced(what: &str, put: impl Fn(&Path, &Path) -> bool) {
    for name in [INDEX, DATA] {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (inside, outside) = (dir.path().join("checkpoint"), dir.path().join("outside"));
        std::fs::create_dir(&inside).expect("directory");
        for (name, content) in small() {
            std::fs::write(inside.join(name), content).expect("writes");
        }
        std::fs::rename(inside.join(name), &outside).expect("moves");
        if !put(&inside.join(name), &outside) {
            continue;
        }
        match modestly(0, || Checkpoint::open(&inside)?.load()) {
            Err(Error::Storage(error)) => {
                let found = matches!(&*error, StorageError::NotAFile { path, found, .. }
                    if path.as_str() == name && *found == what);
                assert!(found, "{name} is {what}: {error}");
            }
            other => panic!("{name} is {what}: {other:?}"),
        }
    }
}

#[test]
fn a_link_is_not_followed() {
    replaced("a symbolic link", |place, outside| symlink(outside, place).is_ok());
    replaced("a symbolic link", |place, _| symlink("/dev/zero", place).is_ok());
}

#[test]
fn a_pipe_is_not_waited_for() {
    replaced("a named pipe", |place, _| made(Command::new("mkfifo").arg(place)));
}

#[test]
fn a_directory_is_no_file() {
    replaced("a directory", |place, _| std::fs::create_dir(place).is_ok());
}

/// Only who may make devices can try this.
#[test]
fn a_device_is_not_read() {
    replaced("a device", |place, _| made(Command::new("mknod").arg(place).args(["c", "1", "5"])));
}

fn made(command: &mut Command) -> bool {
    command.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
}
