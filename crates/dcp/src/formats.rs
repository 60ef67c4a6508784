//! The formats that this build knows.

use std::sync::Arc;

use dcp_storage::{Format, Io, StorageError, Store};

use crate::Error;

/// Every format that this build can read.
pub(crate) fn known() -> Vec<Arc<dyn Format>> {
    vec![
        #[cfg(feature = "native")]
        Arc::new(dcp_native::NativeFormat::new()),
    ]
}

/// The format of the checkpoint in a store, told from what is there.
pub(crate) fn detect(store: &dyn Store, formats: &[Arc<dyn Format>], io: &Io<'_>) -> Result<Arc<dyn Format>, Error> {
    for format in formats {
        match io.block_on(store.size(&format.index_path())) {
            Ok(_) => return Ok(Arc::clone(format)),
            Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let indexes: Vec<String> = formats.iter().map(|format| format.index_path().to_string()).collect();
    let reason = format!("it has no {}", indexes.join(" or "));
    Err(StorageError::NoCheckpoint { location: store.location(), reason }.into())
}

/// The format that is written unless told otherwise.
#[cfg(feature = "native")]
pub(crate) fn default_format(files_per_rank: u32) -> Result<Arc<dyn Format>, Error> {
    Ok(Arc::new(dcp_native::NativeFormat::new().files_per_rank(files_per_rank)))
}

/// The format that is written unless told otherwise.
#[cfg(not(feature = "native"))]
pub(crate) fn default_format(_files_per_rank: u32) -> Result<Arc<dyn Format>, Error> {
    Err(Error::MissingFeature { what: "saving without naming a format".into(), feature: "native" })
}
