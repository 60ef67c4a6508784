//! Reads that go wrong.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use dcp_storage::conformance::block_on;
use dcp_storage::{Look, ReadRange, StorageError, Store, StorePath, Version};

use super::{Broken, Defect, meanwhile};

pub(super) async fn read(store: &Broken, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
    if ranges.is_empty() && store.is(Defect::ReadsNoRangeOfNothing) {
        return Ok(());
    }
    let size = match store.inner.head(path).await {
        Err(_) if store.is(Defect::FailsMissingReadsWithIo) => return Err(store.io(io::ErrorKind::Other, path)),
        result => result?.size,
    };
    let end_of = |range: &ReadRange<'_>| range.offset.checked_add(range.buffer.len() as u64);
    let too_far = |range: &ReadRange<'_>| end_of(range).is_none_or(|end| end > size);
    match store.defect {
        Defect::ReadsOneByteLater => ranges.iter_mut().for_each(|range| range.offset = range.offset.saturating_add(1)),
        Defect::ReadsShort => {
            for range in ranges.iter_mut().filter(|range| range.buffer.len() > 4096) {
                read_one(store, path, range.offset, &mut range.buffer[..4096]).await?;
            }
            let mut short: Vec<_> = reborrow(ranges).filter(|range| range.buffer.len() <= 4096).collect();
            return store.inner.read(path, &mut short).await;
        }
        Defect::FillsInSortedOrder => {
            let mut offsets: Vec<_> = ranges.iter().map(|range| range.offset).collect();
            offsets.sort_unstable();
            for (range, offset) in ranges.iter_mut().zip(offsets) {
                range.offset = offset.min(size.saturating_sub(range.buffer.len() as u64));
            }
        }
        Defect::ReadsOverlapsOnce => {
            // As if the bytes came as a stream that cannot go back.
            let mut position = 0;
            for range in ranges.iter_mut() {
                if range.offset < position && end_of(range).is_some_and(|end| position < end) {
                    range.offset = position.min(size.saturating_sub(range.buffer.len() as u64));
                }
                position = end_of(range).unwrap_or(u64::MAX);
            }
        }
        Defect::ForgetsTheSecondOfTwoThatTouch => {
            let mut kept = Vec::new();
            let mut last = None;
            for range in reborrow(ranges) {
                let end = end_of(&range);
                if last.is_none() || last != Some(range.offset) {
                    kept.push(range);
                }
                last = end;
            }
            return store.inner.read(path, &mut kept).await;
        }
        Defect::RefusesEmptyRanges if ranges.iter().any(|range| range.buffer.is_empty()) => {
            return Err(store.io(io::ErrorKind::InvalidInput, path));
        }
        Defect::RefusesTheLastByte => {
            if let Some(range) = ranges.iter().find(|range| !range.buffer.is_empty() && end_of(range) == Some(size)) {
                return Err(out_of_range(store, path, range, size));
            }
        }
        Defect::ZeroFillsPastTheEnd => {
            for range in ranges.iter_mut() {
                zero_filled(store, path, range, size).await?;
            }
            return Ok(());
        }
        Defect::ZeroFillsAllRangesButTheFirst => {
            if let Some(range) = ranges.first().filter(|range| too_far(range)) {
                return Err(out_of_range(store, path, range, size));
            }
            for range in ranges.iter_mut() {
                zero_filled(store, path, range, size).await?;
            }
            return Ok(());
        }
        Defect::SkipsEmptyRanges => {
            let mut kept: Vec<_> = reborrow(ranges).filter(|range| !range.buffer.is_empty()).collect();
            return store.inner.read(path, &mut kept).await;
        }
        Defect::WrapsOffsets => {
            for range in ranges.iter_mut().filter(|range| end_of(range).is_none()) {
                range.offset = range.offset.wrapping_add(range.buffer.len() as u64);
            }
        }
        Defect::CallsOutOfRangeIo if ranges.iter().any(too_far) => {
            return Err(store.io(io::ErrorKind::UnexpectedEof, path));
        }
        Defect::CallsOutOfRangeNotFound if ranges.iter().any(too_far) => {
            return Err(StorageError::NotFound { location: store.location(), path: path.clone() });
        }
        Defect::ReadsThousandRangesAtMost => {
            let count = ranges.len().min(1000);
            return store.inner.read(path, &mut ranges[..count]).await;
        }
        Defect::SharesOneCursor => {
            for range in ranges.iter_mut().filter(|range| !range.buffer.is_empty()) {
                store.shared.cursor.store(range.offset, Ordering::SeqCst);
                meanwhile(|| store.shared.cursor.load(Ordering::SeqCst) != range.offset);
                let offset =
                    store.shared.cursor.load(Ordering::SeqCst).min(size.saturating_sub(range.buffer.len() as u64));
                read_one(store, path, offset, range.buffer).await?;
            }
            return Ok(());
        }
        _ => {}
    }
    store.inner.read(path, ranges).await
}

pub(super) async fn read_each(
    store: &Broken,
    path: &StorePath,
    ranges: &mut [ReadRange<'_>],
    look: &mut Look<'_>,
) -> Result<(), StorageError> {
    if store.is(Defect::ShowsBeforeItReads) {
        ranges.iter().try_for_each(look)?;
        return store.read(path, ranges).await;
    }
    store.read(path, ranges).await?;
    match store.defect {
        Defect::ShowsBackwards => ranges.iter().rev().try_for_each(look),
        Defect::ForgetsToShowTheLast => ranges.iter().skip(1).zip(&*ranges).try_for_each(|(_, range)| look(range)),
        Defect::GoesOnWhenSomebodySaysNo => ranges.iter().map(look).fold(Ok(()), Result::and),
        _ => ranges.iter().try_for_each(look),
    }
}

pub(super) async fn read_whole(
    store: &Broken,
    path: &StorePath,
    longest: u64,
) -> Result<(Bytes, Version), StorageError> {
    let found = store.inner.read_whole(path, longest).await;
    match store.defect {
        Defect::GivesWholeMissingObjects if matches!(found, Err(StorageError::NotFound { .. })) => {
            Ok((Bytes::new(), Version("nothing".to_owned())))
        }
        Defect::CutsWholeObjects => found.map(|(content, version)| (content.slice(..content.len().min(8192)), version)),
        Defect::GivesWholeObjectsAnotherVersion => found.map(|(content, _)| (content, Version("another".to_owned()))),
        Defect::GivesWholeObjectsHoweverLong => store.inner.read_whole(path, u64::MAX).await,
        Defect::LooksForTheVersionLater => {
            let (content, version) = found?;
            let later = || block_on(store.inner.head(path)).ok().and_then(|meta| meta.version);
            meanwhile(|| later().is_some_and(|later| later != version));
            Ok((content, later().unwrap_or(version)))
        }
        _ => found,
    }
}

async fn zero_filled(
    store: &Broken,
    path: &StorePath,
    range: &mut ReadRange<'_>,
    size: u64,
) -> Result<(), StorageError> {
    range.buffer.fill(0);
    let there = size.saturating_sub(range.offset).min(range.buffer.len() as u64) as usize;
    read_one(store, path, range.offset.min(size), &mut range.buffer[..there]).await
}

async fn read_one(store: &Broken, path: &StorePath, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
    store.inner.read(path, &mut [ReadRange { offset, buffer }]).await
}

fn reborrow<'a>(ranges: &'a mut [ReadRange<'_>]) -> impl Iterator<Item = ReadRange<'a>> {
    ranges.iter_mut().map(|range| ReadRange { offset: range.offset, buffer: &mut *range.buffer })
}

fn out_of_range(store: &Broken, path: &StorePath, range: &ReadRange<'_>, size: u64) -> StorageError {
    StorageError::OutOfRange {
        location: store.location(),
        path: path.clone(),
        offset: range.offset,
        length: range.buffer.len() as u64,
        size,
    }
}
