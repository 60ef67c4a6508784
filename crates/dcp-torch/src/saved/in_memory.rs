//! Files that lie in memory; for tests and fuzz targets.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{Ask, Decoder, Locator, Need, Reply, Step, StorageError, StorePath};
use dcp_types::ReadItem;

use super::{LocateSaved, ReadSaved, SavedFile};

/// Opens a file, and reads every object in it.
#[cfg(fuzzing)]
pub(crate) fn read_all(file: &Bytes) {
    let Ok(saved) = open(file) else { return };
    for leaf in 0..saved.leaves.len() {
        if let Ok(locator @ (Locator::Inline(_) | Locator::Stream(_))) = locate(&saved, leaf, file) {
            drop(content(&locator, file, 1 << 12));
        }
    }
}

pub(crate) fn path() -> StorePath {
    StorePath::parse("model.pt").expect("a path")
}

/// Runs a machine over the bytes of a file; notes which of them it has asked for.
pub(crate) fn answer<T>(
    mut ask: impl Ask<Output = T>,
    file: &Bytes,
    read: &mut Vec<(u64, u64)>,
) -> Result<T, StorageError> {
    let mut replies = Vec::new();
    loop {
        match ask.next(replies)? {
            Step::Done(done) => return Ok(done),
            Step::Needs(needs) => replies = needs.into_iter().map(|need| reply(&need, file, read)).collect(),
        }
    }
}

fn reply(need: &Need, file: &Bytes, read: &mut Vec<(u64, u64)>) -> Reply {
    let Need::Range { offset, length, .. } = need else { panic!("{need:?}") };
    read.push((*offset, *length));
    Reply::Bytes(file.slice(*offset as usize..(offset + length) as usize))
}

pub(crate) fn open(file: &Bytes) -> Result<Arc<SavedFile>, StorageError> {
    answer(ReadSaved::new(path(), file.len() as u64), file, &mut Vec::new()).map(Arc::new)
}

pub(crate) fn locate(saved: &Arc<SavedFile>, leaf: usize, file: &Bytes) -> Result<Locator, StorageError> {
    let mut located = answer(LocateSaved::new(Arc::clone(saved), vec![leaf]), file, &mut Vec::new())?;
    Ok(located.remove(0))
}

/// What is at a place, read in pieces of so many bytes.
pub(crate) fn content(locator: &Locator, file: &Bytes, pieces: usize) -> Result<Vec<u8>, StorageError> {
    match locator {
        Locator::Inline(bytes) => Ok(bytes.to_vec()),
        Locator::Stream(stream) => {
            let encoded = &file[stream.offset as usize..(stream.offset + stream.length) as usize];
            let mut decoder = stream.codec.as_ref().expect("a codec").decoder(stream, &ReadItem::value(0));
            let mut decoded = Vec::new();
            decode(&mut *decoder, encoded, pieces, |piece| decoded.extend_from_slice(piece))?;
            Ok(decoded)
        }
        other => panic!("{other:?}"),
    }
}

/// Returns whether all had checksums.
pub(crate) fn decode(
    decoder: &mut dyn Decoder,
    mut encoded: &[u8],
    pieces: usize,
    mut take: impl FnMut(&[u8]),
) -> Result<bool, StorageError> {
    let mut output = vec![0; pieces];
    loop {
        let step = decoder.decode(&encoded[..encoded.len().min(pieces)], &mut output)?;
        take(&output[..step.produced]);
        encoded = &encoded[step.consumed..];
        if encoded.is_empty() && step.produced == 0 {
            return decoder.finish();
        }
        assert!(step.consumed + step.produced > 0, "it must get on");
    }
}
