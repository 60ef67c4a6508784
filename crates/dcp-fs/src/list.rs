//! Listing what is below the root: objects, and what unfinished uploads have left.

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
    if let Some(prefix) = prefix
        && let Some((dir, leaf)) = unless_gone(beneath::open_parent(&root, prefix))?
        && let Some(Found::Object { size }) = beneath::look(&dir, leaf)?
    {
        return Ok(vec![ObjectMeta { path: prefix.clone(), size, version: None }]);
    }
    let mut found = walk(&root, prefix.map(ToString::to_string))?.objects;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    // A directory that changes while it is read may name a file twice.
    found.dedup_by(|one, other| one.path == other.path);
    Ok(found)
}

/// Every object of which an unfinished upload has left a file that tells so.
pub(crate) fn unfinished(root: &Root) -> io::Result<Vec<StorePath>> {
    let Some(root) = unless_gone(root.open())? else { return Ok(Vec::new()) };
    let mut found = walk(&root, None)?.uploads;
    found.sort();
    found.dedup();
    Ok(found)
}

/// The names of the files that unfinished uploads of one object have left in its directory.
pub(crate) fn uploads_of(dir: &File, leaf: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for_each_entry(dir, |name, file_type| {
        if temp::upload_of(name) == Some(leaf) && is_file(dir, name, file_type)? {
            names.push(name.to_owned());
        }
        Ok(())
    })?;
    Ok(names)
}

/// What is in a directory and all those below it, in no order.
#[derive(Default)]
struct Below {
    objects: Vec<ObjectMeta>,
    /// Once for each upload.
    uploads: Vec<StorePath>,
}

fn walk(root: &File, start: Option<String>) -> io::Result<Below> {
    let mut found = Below::default();
    // Directories still to be read, by path rather than open: however deep they nest, few files are open.
    let mut pending = vec![start];
    while let Some(path) = pending.pop() {
        if let Some(dir) = unless_gone(beneath::open_directory(root, path.as_deref()))? {
            scan(&dir, path.as_deref(), &mut found, &mut pending)?;
        }
    }
    Ok(found)
}

fn scan(dir: &File, path: Option<&str>, found: &mut Below, pending: &mut Vec<Option<String>>) -> io::Result<()> {
    // Leaves out `.` and `..` as well, and ends the descent where paths become too long.
    let full = |name: &str| StorePath::parse(&path.map_or_else(|| name.to_owned(), |path| format!("{path}/{name}")));
    for_each_entry(dir, |name, file_type| {
        if temp::is_reserved(name) {
            if let Some(Ok(full)) = temp::upload_of(name).map(full)
                && is_file(dir, name, file_type)?
            {
                found.uploads.push(full);
            }
            return Ok(());
        }
        let Ok(full) = full(name) else { return Ok(()) };
        match file_type {
            FileType::Directory => pending.push(Some(full.into())),
            FileType::RegularFile | FileType::Unknown => match beneath::look(dir, name)? {
                Some(Found::Object { size }) => found.objects.push(ObjectMeta { path: full, size, version: None }),
                // Some file systems tell the type only when asked. If it is no directory, opening it will show.
                Some(Found::Foreign(_)) if file_type == FileType::Unknown => pending.push(Some(full.into())),
                Some(Found::Foreign(_)) | None => {}
            },
            _ => {}
        }
        Ok(())
    })
}

fn is_file(dir: &File, name: &str, file_type: FileType) -> io::Result<bool> {
    Ok(match file_type {
        FileType::Unknown => matches!(beneath::look(dir, name)?, Some(Found::Object { .. })),
        known => known == FileType::RegularFile,
    })
}

/// Calls `each` with every name that is text.
fn for_each_entry(dir: &File, mut each: impl FnMut(&str, FileType) -> io::Result<()>) -> io::Result<()> {
    for entry in Dir::new(beneath::readable(dir)?)? {
        let entry = match entry {
            Ok(entry) => entry,
            // The directory was removed while we read it.
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        if let Ok(name) = entry.file_name().to_str() {
            each(name, entry.file_type())?;
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
