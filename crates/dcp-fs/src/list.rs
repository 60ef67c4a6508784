//! Listing what is below the root.

use std::fs::File;
use std::io;

use dcp_storage::{ObjectMeta, StorePath};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use crate::beneath::{self, Blocked, Found};
use crate::root::Root;
use crate::temp;

/// Every object at or below `prefix`. What is no object (a link, a pipe, a name that no [`StorePath`] has, a
/// temporary file) is passed over.
pub(crate) fn objects(root: &Root, prefix: Option<&StorePath>) -> io::Result<Vec<ObjectMeta>> {
    let Some(root) = unless_gone(root.open())? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    // Directories still to be read, by path rather than open: however deep they nest, few files are open.
    let mut pending = vec![prefix.map(ToString::to_string)];
    if let Some(prefix) = prefix
        && let Some((dir, leaf)) = unless_gone(beneath::open_parent(&root, prefix))?
        && let Some(Found::Object { size }) = beneath::look(&dir, leaf)?
    {
        return Ok(vec![ObjectMeta { path: prefix.clone(), size, version: None }]);
    }
    while let Some(path) = pending.pop() {
        if let Some(dir) = unless_gone(beneath::open_directory(&root, path.as_deref()))? {
            scan(&dir, path.as_deref(), &mut found, &mut pending)?;
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    // A directory that changes while it is read may name a file twice.
    found.dedup_by(|one, other| one.path == other.path);
    Ok(found)
}

fn scan(
    dir: &File,
    path: Option<&str>,
    found: &mut Vec<ObjectMeta>,
    pending: &mut Vec<Option<String>>,
) -> io::Result<()> {
    for entry in Dir::new(beneath::readable(dir)?)? {
        let entry = match entry {
            Ok(entry) => entry,
            // The directory was removed while we read it.
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        let Ok(name) = entry.file_name().to_str() else { continue };
        if temp::is_reserved(name) {
            continue;
        }
        let full = path.map_or_else(|| name.to_owned(), |path| format!("{path}/{name}"));
        // Leaves out `.` and `..` as well, and ends the descent where paths become too long.
        let Ok(full) = StorePath::parse(&full) else { continue };
        match entry.file_type() {
            FileType::Directory => pending.push(Some(full.into())),
            FileType::RegularFile | FileType::Unknown => match beneath::look(dir, name)? {
                Some(Found::Object { size }) => found.push(ObjectMeta { path: full, size, version: None }),
                // Some file systems tell the type only when asked. If it is no directory, opening it will show.
                Some(Found::Foreign(_)) if entry.file_type() == FileType::Unknown => pending.push(Some(full.into())),
                Some(Found::Foreign(_)) | None => {}
            },
            _ => {}
        }
    }
    Ok(())
}

/// What is missing, or is no directory, holds no objects.
fn unless_gone<T>(opened: Result<T, Blocked>) -> io::Result<Option<T>> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(Blocked::Missing | Blocked::BelowFile | Blocked::Foreign(_)) => Ok(None),
        Err(Blocked::Io(error)) => Err(error),
    }
}
