//! Doors for the fuzz targets.

use bytes::Bytes;
use dcp_storage::{StorePath, Strictness};

use crate::archive::{Archive, Known, MAX_PICKLE};
use crate::{metadata, object};

/// Reads bytes as an index, and as the pickle of an item.
pub fn pickle(bytes: &[u8]) {
    let path = StorePath::parse(".metadata").expect("a valid path");
    let files = [(path, Bytes::copy_from_slice(bytes))];
    drop(metadata::decode(&files, Strictness::Strict));
    drop(metadata::decode(&files, Strictness::Salvage));
    drop(object::tensor(bytes));
}

/// Reads bytes as an archive: as an object, as a state, and as the beginning of a stream.
pub fn archive(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    drop(object::decode_strictly(&bytes, "a value", Strictness::Strict));
    let known = Known::whole(bytes.clone());
    drop(Archive::read(&known).and_then(|archive| {
        let (pickle, start) = archive.pickle(&known, MAX_PICKLE)?;
        object::SavedTree::read(&archive, &known, &pickle, start)
    }));
    crate::dcp::read_head(&bytes);
}
