//! What the index needs to know of a rank's files: where each item lies.

use bytes::Bytes;
use dcp_storage::{DataName, Generation, StorageError, WrittenFile, WrittenSegment};
use dcp_types::{Rank, WriteItem, WriteWhat};
use serde::{Deserialize, Serialize};

use super::format::unsupported;
use crate::metadata::Places;

/// A file: its number, and its items.
#[derive(Serialize, Deserialize)]
struct File(u32, Vec<Item>);

/// An item: its entry, the offsets of the chunk that it is, and where its archive starts and how long it is.
#[derive(Serialize, Deserialize)]
struct Item(usize, Option<Vec<u64>>, u64, u64);

pub(super) fn encode(files: &[WrittenFile]) -> Result<Bytes, StorageError> {
    let files = files.iter().map(summary).collect::<Option<Vec<File>>>();
    let files = files.ok_or_else(|| unsupported("files that it did not lay out"))?;
    rmp_serde::to_vec(&files).map(Bytes::from).map_err(|fault| unsupported(fault.to_string()))
}

/// Where everything lies that these ranks have written.
pub(super) fn places(summaries: &[(Rank, Bytes)], generation: Generation) -> Result<Places, StorageError> {
    let mut places = Places::default();
    for (rank, summary) in summaries {
        let files: Vec<File> = rmp_serde::from_slice(summary)
            .map_err(|fault| unsupported(format!("the summary of rank {rank}: {fault}")))?;
        for File(number, items) in files {
            places.add_file(DataName { rank: *rank, number, generation }.path()?);
            items.into_iter().for_each(|Item(entry, chunk, offset, length)| places.add(entry, chunk, offset, length));
        }
    }
    Ok(places)
}

fn summary(file: &WrittenFile) -> Option<File> {
    let item = |(at, segment): (usize, &WrittenSegment)| Some(place(segment.item.as_ref()?, at, &file.segments));
    let items = file.segments.iter().enumerate().filter_map(item).collect::<Option<_>>()?;
    Some(File(DataName::parse(&file.path)?.number, items))
}

/// A value is an archive. A chunk lies between the two halves of one.
fn place(item: &WriteItem, at: usize, segments: &[WrittenSegment]) -> Option<Item> {
    let (chunk, first, last) = match &item.what {
        WriteWhat::Value => (None, at, at),
        WriteWhat::Chunk(chunk, _) => (Some(chunk.region.offsets().to_vec()), at.checked_sub(1)?, at + 1),
    };
    let (first, last) = (segments.get(first)?, segments.get(last)?);
    Some(Item(item.entry, chunk, first.offset, last.offset + last.length - first.offset))
}
