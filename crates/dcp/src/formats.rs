//! The formats that this build knows.

use std::sync::Arc;

use dcp_storage::{Format, Io, Role, StorageError, Store, StorePath};

use crate::Error;

/// Every format that this build can read.
pub(crate) fn known() -> Vec<Arc<dyn Format>> {
    vec![
        #[cfg(feature = "native")]
        Arc::new(dcp_native::NativeFormat::new()),
        #[cfg(feature = "torch")]
        Arc::new(dcp_torch::DcpFormat::new()),
        #[cfg(feature = "torch")]
        Arc::new(dcp_torch::TorchSaveFormat::new()),
    ]
}

/// The format of this name, or of which this is an ending.
pub(crate) fn named(name: &str, formats: &[Arc<dyn Format>]) -> Result<Arc<dyn Format>, Error> {
    let is_it = |format: &Arc<dyn Format>| format.name() == name || format.endings().contains(&name);
    let known = || formats.iter().map(|format| format.name()).collect();
    let unknown = || Error::UnknownFormat { name: name.to_owned(), known: known() };
    formats.iter().find(|format| is_it(format)).cloned().ok_or_else(unknown)
}

/// The format of the checkpoint in a store, told from what is there.
pub(crate) fn detect(
    store: &Arc<dyn Store>,
    formats: &[Arc<dyn Format>],
    io: &Io<'_>,
) -> Result<Arc<dyn Format>, Error> {
    let is_one_object = store.traits().one_object.is_some();
    for format in formats.iter().filter(|format| format.is_one_file() == is_one_object) {
        if dcp_storage::recognise(&**format, &**store, io)? {
            return Ok(Arc::clone(format));
        }
    }
    Err(nothing(&**store, formats, io)?)
}

/// Why a store holds no checkpoint.
fn nothing(store: &dyn Store, formats: &[Arc<dyn Format>], io: &Io<'_>) -> Result<Error, Error> {
    let location = store.location();
    if store.traits().one_object.is_some() {
        let known = formats.iter().filter(|format| format.is_one_file()).map(|format| format.name());
        let known: Vec<&str> = known.collect();
        let reason = format!("it is a file of no format that is known here ({})", known.join(", "));
        return Ok(StorageError::NoCheckpoint { location, reason }.into());
    }
    let listing = io.block_on(store.list(None))?;
    #[cfg(not(feature = "torch"))]
    if listing.iter().any(|object| object.path.as_str() == ".metadata") {
        return Ok(Error::MissingFeature { what: format!("reading the checkpoint in {location}"), feature: "torch" });
    }
    // What lies deeper is another checkpoint's: it may be a directory of checkpoints.
    let is_part = |path: &StorePath| !path.as_str().contains('/') && is_of_save(path);
    if let Some(found) = listing.into_iter().map(|object| object.path).find(is_part) {
        return Ok(StorageError::Unfinished { location, found }.into());
    }
    let indexes: Vec<String> =
        formats.iter().filter(|format| !format.is_one_file()).map(|format| format.index_path().to_string()).collect();
    let reason = format!("it has no {}", indexes.join(" or "));
    Ok(StorageError::NoCheckpoint { location, reason }.into())
}

/// Whether a name in a directory says that a checkpoint of several files is there, or a part of one.
pub(crate) fn is_part(name: &StorePath, formats: &[Arc<dyn Format>]) -> bool {
    let is_index = |format: &Arc<dyn Format>| !format.is_one_file() && format.index_path() == *name;
    is_of_save(name) || Role::of(name).is_some() || formats.iter().any(is_index)
}

/// Whether the ending of a name is that of a format that is one file.
pub(crate) fn is_of_one_file(name: &StorePath, formats: &[Arc<dyn Format>]) -> bool {
    formats.iter().any(|format| format.is_one_file() && format.is_told_by(name.as_str()))
}

/// Whether a name is that of something which saves write before the index.
fn is_of_save(name: &StorePath) -> bool {
    let text = name.as_str();
    text == ".metadata.tmp" || text.ends_with(".distcp") || matches!(Role::of(name), Some(Role::Claim(_)))
}

/// The format that a group of so many ranks writes unless told otherwise.
#[cfg(feature = "native")]
pub(crate) fn default_format(ranks: usize) -> Result<Arc<dyn Format>, Error> {
    Ok(Arc::new(dcp_native::NativeFormat::for_ranks(ranks)))
}

/// The format that is written unless told otherwise.
#[cfg(not(feature = "native"))]
pub(crate) fn default_format(_ranks: usize) -> Result<Arc<dyn Format>, Error> {
    Err(Error::MissingFeature { what: "saving without naming a format".into(), feature: "native" })
}
