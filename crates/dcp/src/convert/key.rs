//! What tells a conversion from others: a conversion that was interrupted is gone on with only if it is the same.

use std::fs;
use std::time::UNIX_EPOCH;

use dcp_storage::{Format, Io, ObjectMeta, ReadRange, Store};
use dcp_types::Digest;

use super::plan::Planned;
use crate::{Error, Location};

/// Stands for all that the files of a conversion depend on: the source as it is now, the plan, the format with its options, and this
/// program. `None` if the state of the source cannot be told.
pub(super) fn of(
    from: &Location,
    store: &dyn Store,
    source_format: &dyn Format,
    planned: &Planned,
    format: &dyn Format,
    io: &Io<'_>,
) -> Result<Option<Digest>, Error> {
    let mut states = Vec::new();
    for object in io.block_on(store.list(None))? {
        let Some(state) = state(from, store, &object, io)? else { return Ok(None) };
        states.push(format!("{} {} {state}", object.path, object.size));
    }
    // Versions may be those of another store of this name.
    let index = index(source_format, store, io)?;
    let program = env!("CARGO_PKG_VERSION");
    let key = format!("{program} {from} {index:?} {states:?} {:?} {} {format:?}", planned.digest, format.name());
    Ok(Some(Digest::of(key.as_bytes())))
}

/// Stands for the content of the source's index, where it has one.
fn index(format: &dyn Format, store: &dyn Store, io: &Io<'_>) -> Result<Option<Digest>, Error> {
    if format.is_one_file() {
        return Ok(None);
    }
    let path = format.index_path();
    let mut content = vec![0; io.block_on(store.size(&path))? as usize];
    io.block_on(store.read(&path, &mut [ReadRange { offset: 0, buffer: &mut content }]))?;
    Ok(Some(Digest::of(&content)))
}

/// Which state of an object of the source this is: its version, or when it was written.
fn state(from: &Location, store: &dyn Store, object: &ObjectMeta, io: &Io<'_>) -> Result<Option<String>, Error> {
    if let Some(path) = from.path() {
        let path = if store.traits().one_object.is_some() { path.to_owned() } else { path.join(object.path.as_str()) };
        let written = fs::metadata(path).and_then(|found| found.modified()).ok();
        let since = written.and_then(|written| written.duration_since(UNIX_EPOCH).ok());
        return Ok(since.map(|since| since.as_nanos().to_string()));
    }
    let version = match &object.version {
        Some(version) => Some(version.clone()),
        None => io.block_on(store.head(&object.path))?.version,
    };
    Ok(version.map(|version| version.0))
}
