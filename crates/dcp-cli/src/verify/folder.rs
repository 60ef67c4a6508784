//! The checkpoints in a directory.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::natural;
use crate::failure::Failure;

/// The directories directly in a directory, numbers in their names in natural order; none if it is no directory.
///
/// # Errors
/// [`Failure::Impossible`] if it cannot be listed.
pub(super) fn below(place: &OsStr) -> Result<Vec<PathBuf>, Failure> {
    let place = Path::new(place);
    if !place.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |error: std::io::Error| Failure::path("list", place, &error);
    let mut found = Vec::new();
    for entry in fs::read_dir(place).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !is_hidden && entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    found.sort_by(|one, other| by_name(one, other));
    Ok(found)
}

fn by_name(one: &Path, other: &Path) -> Ordering {
    natural::compare(&one.to_string_lossy(), &other.to_string_lossy()).then_with(|| one.cmp(other))
}
