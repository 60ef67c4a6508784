//! What the index needs to know of a rank's files: where each item lies.

use bytes::Bytes;
use dcp_storage::{DataName, Generation, StorageError, Transforms, WrittenFile, WrittenSegment};
use dcp_types::{Rank, WriteItem, WriteWhat};
use serde::{Deserialize, Serialize};

use super::format::unsupported;
use crate::metadata::Places;

/// All of a rank's: the descriptors of the transforms that everything went through, and its files.
#[derive(Serialize, Deserialize)]
struct Summary(Vec<String>, Vec<File>);

/// A file: its number, and its items.
#[derive(Serialize, Deserialize)]
struct File(u32, Vec<Item>);

/// An item: its entry, the offsets of the chunk that it is, and where its archive starts and how long it is.
#[derive(Serialize, Deserialize)]
struct Item(usize, Option<Vec<u64>>, u64, u64);

pub(super) fn encode(files: &[WrittenFile], transforms: &Transforms) -> Result<Bytes, StorageError> {
    let files = files.iter().map(|file| summary(file, transforms)).collect::<Option<Vec<File>>>();
    let files = files.ok_or_else(|| unsupported("files that it did not lay out"))?;
    rmp_serde::to_vec(&Summary(transforms.descriptors(), files))
        .map(Bytes::from)
        .map_err(|fault| unsupported(fault.to_string()))
}

/// Where everything lies that these ranks have written.
pub(super) fn places(
    summaries: &[(Rank, Bytes)],
    generation: Generation,
    transforms: &Transforms,
) -> Result<Places, StorageError> {
    let here = transforms.descriptors();
    let mut places = Places::default();
    for (rank, summary) in summaries {
        let Summary(there, files) = rmp_serde::from_slice(summary)
            .map_err(|fault| unsupported(format!("the summary of rank {rank}: {fault}")))?;
        if there != here {
            return Err(unsupported(format!(
                "ranks with different transforms: {here:?} here, {there:?} on rank {rank}"
            )));
        }
        for File(number, items) in files {
            places.add_file(DataName { rank: *rank, number, generation }.path()?);
            items.into_iter().for_each(|Item(entry, chunk, offset, length)| places.add(entry, chunk, offset, length));
        }
    }
    Ok(places)
}

fn summary(file: &WrittenFile, transforms: &Transforms) -> Option<File> {
    let item =
        |(at, segment): (usize, &WrittenSegment)| Some(place(segment.item.as_ref()?, at, &file.segments, transforms));
    let items = file.segments.iter().enumerate().filter_map(item).collect::<Option<_>>()?;
    Some(File(DataName::parse(&file.path)?.number, items))
}

/// A value is an archive, and so is all that went through transforms. Otherwise a chunk lies between the two halves of one.
fn place(item: &WriteItem, at: usize, segments: &[WrittenSegment], transforms: &Transforms) -> Option<Item> {
    let chunk = match &item.what {
        WriteWhat::Value => None,
        WriteWhat::Chunk(chunk, _) => Some(chunk.region.offsets().to_vec()),
    };
    let is_alone = chunk.is_none() || !transforms.is_empty();
    let (first, last) = if is_alone { (at, at) } else { (at.checked_sub(1)?, at + 1) };
    let (first, last) = (segments.get(first)?, segments.get(last)?);
    Some(Item(item.entry, chunk, first.offset, last.offset + last.length - first.offset))
}
