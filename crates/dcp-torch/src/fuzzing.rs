//! Doors for the fuzz targets.

use bytes::Bytes;
use dcp_storage::{StorePath, Strictness};
use dcp_types::Value;

use crate::{metadata, object, saved};

/// Reads bytes as an index, and as the pickle of an item; pickles again what is in it.
pub fn pickle(bytes: &[u8]) {
    let path = StorePath::parse(".metadata").expect("a valid path");
    let files = [(path, Bytes::copy_from_slice(bytes))];
    drop(metadata::decode(&files, Strictness::Strict));
    drop(metadata::decode(&files, Strictness::Salvage));
    drop(object::tensor(bytes));
    object::check_again(bytes);
}

/// Reads bytes as an archive: as an object, also inside of another one, as a state with all objects in it, and as the beginning of a stream.
pub fn archive(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(value @ Value::Opaque(_)) = object::decode_strictly(&bytes, "a value", Strictness::Salvage) {
        drop(object::encode(&Value::List(vec![value])));
    }
    saved::read_all(&bytes);
    crate::dcp::read_head(&bytes);
}
