//! Replacing and removing objects, one at a time.
//!
//! Whoever takes a name away from a file holds a lock on that very file and has seen, under the lock, that it bears
//! the name. So from the comparison to the rename nobody else can have changed anything. A name that
//! nothing bears needs no lock: it is taken by a rename that does not replace.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use dcp_storage::{Precondition, StorageError};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::beneath::{self, Blocked, Found, OpenObject};
use crate::disk::Disk;
use crate::site::Site;
use crate::temp::Temp;
use crate::version;

/// Gives a written file its name, as `when` allows.
pub(crate) fn place(site: &Site, mut temp: Temp, leaf: &str, when: &Precondition) -> Result<(), StorageError> {
    temp.flush().map_err(site.io("publish"))?;
    match when {
        Precondition::Absent => place_if_absent(site, &mut temp, leaf)?,
        Precondition::None | Precondition::Matches(_) => place_over(site, &mut temp, leaf, when)?,
    }
    temp.flush_name().map_err(site.io("publish"))
}

/// Removes an object; one that does not exist is fine.
pub(crate) fn remove(disk: &dyn Disk, dir: &File, leaf: &str) -> Result<(), Blocked> {
    let _held = match hold(dir, leaf, patience()) {
        Ok(held) => Some(held),
        // A name can be removed by who may not open the file. And without locks nobody compares versions either.
        Err(Blocked::Io(error)) if may_go_unlocked(&error) => None,
        Err(Blocked::Missing) => return Ok(()),
        Err(other) => return Err(other),
    };
    Ok(disk.remove(dir, leaf)?)
}

fn place_if_absent(site: &Site, temp: &mut Temp, leaf: &str) -> Result<(), StorageError> {
    let Err(error) = temp.place_new(leaf) else { return Ok(()) };
    if error.kind() != io::ErrorKind::AlreadyExists {
        return Err(site.io("publish")(error));
    }
    let found = match beneath::look(temp.dir(), leaf).map_err(site.io("publish"))? {
        Some(Found::Object { size }) => format!("an object of {size} bytes"),
        Some(found @ Found::Foreign(_)) => return Err(site.taken(&found)),
        None => "an object that is gone by now".to_owned(),
    };
    Err(site.refused(NOTHING.to_owned(), found))
}

fn place_over(site: &Site, temp: &mut Temp, leaf: &str, when: &Precondition) -> Result<(), StorageError> {
    let until = patience();
    loop {
        match hold(temp.dir(), leaf, until) {
            Ok(current) => {
                if let Precondition::Matches(expected) = when {
                    let found = version::of_file(&current.file).map_err(site.io("publish"))?;
                    if found != *expected {
                        return Err(site.refused(expected.0.clone(), found.0));
                    }
                }
                return temp.place_over(leaf).map_err(site.io("publish"));
            }
            Err(Blocked::Missing) => match when {
                Precondition::Matches(expected) => return Err(site.refused(expected.0.clone(), NOTHING.to_owned())),
                Precondition::None | Precondition::Absent => match temp.place_new(leaf) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists && Instant::now() < until => continue,
                    result => return result.map_err(site.io("publish")),
                },
            },
            Err(other) => return Err(site.on_write("publish")(other)),
        }
    }
}

/// Locks the file that bears a name, as long as the result lives; if it loses the name while we wait, the one that has it then.
fn hold(dir: &File, leaf: &str, until: Instant) -> Result<OpenObject, Blocked> {
    loop {
        let current = open_to_lock(dir, leaf)?;
        lock(&current.file, until)?;
        // Opened once more rather than looked up: that is what makes NFS ask the server.
        let now = open_to_lock(dir, leaf)?;
        if beneath::identity(&now.file)? == beneath::identity(&current.file)? {
            return Ok(current);
        }
        if Instant::now() >= until {
            return Err(Blocked::Io(waited_for("others that replace it again and again")));
        }
    }
}

/// Locks a file. Asks again and again rather than waiting in the kernel, where a holder that is stopped would keep us for ever.
fn lock(file: &File, until: Instant) -> io::Result<()> {
    loop {
        match retry_on_intr(|| flock(file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(LOCK_PAUSE),
            Err(Errno::WOULDBLOCK) => return Err(waited_for("another process that holds its lock")),
            Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK) => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the file system has no advisory locks, without which an object cannot be replaced safely \
                     (on Lustre, mount with -o flock)",
                ));
            }
            Err(other) => return Err(other.into()),
        }
    }
}

/// Until when what begins now waits for others.
fn patience() -> Instant {
    Instant::now() + LOCK_PATIENCE
}

fn waited_for(whom: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("waited in vain ({LOCK_PATIENCE:?}) for {whom}"))
}

/// A lock is held for a comparison and a rename: who holds it longer has been stopped.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// NFS locks exclusively only what is open for writing; elsewhere an object that we may only read will do.
fn open_to_lock(dir: &File, leaf: &str) -> Result<OpenObject, Blocked> {
    match beneath::open_file(dir, leaf, OFlags::RDWR) {
        Err(Blocked::Io(error))
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
        {
            beneath::open_file(dir, leaf, OFlags::RDONLY)
        }
        result => result,
    }
}

fn may_go_unlocked(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
}

const NOTHING: &str = "nothing";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_never_released_is_not_waited_for_forever() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        let holder = File::open(file.path()).expect("opens");
        lock(&holder, patience()).expect("nobody holds it");
        let other = File::open(file.path()).expect("opens");
        let refused = lock(&other, Instant::now()).expect_err("it is held");
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        drop(holder);
        lock(&other, patience()).expect("it was released");
    }
}
