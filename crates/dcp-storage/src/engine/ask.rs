//! Runs an [`Ask`] against a store.

use bytes::Bytes;

use super::read_whole;
use crate::{Ask, Io, Need, ReadRange, Reply, Step, StorageError, Store, StorePath};

/// So many bytes are asked for without finding out first whether they are there.
const TRUSTED: u64 = 1 << 20;
/// The most ranges of one object in one call to the store, and about the most bytes of them.
const BATCH: (usize, u64) = (64, 4 << 20);

/// Runs a machine to its end; returns also how many bytes were read for it.
pub(crate) fn answer<T>(
    store: &dyn Store,
    mut ask: Box<dyn Ask<Output = T>>,
    io: &Io<'_>,
) -> Result<(T, u64), StorageError> {
    let mut replies = Vec::new();
    let mut bytes = 0;
    loop {
        match ask.next(replies)? {
            Step::Done(result) => return Ok((result, bytes)),
            Step::Needs(needs) => {
                let batches = batches(needs).into_iter().map(|batch| reply(store, batch)).collect();
                replies = in_order(io, batches, store.traits().reads_in_flight)?;
                let more = replies.iter().map(length).sum::<u64>();
                io.advance(more);
                bytes += more;
            }
        }
    }
}

/// Needs that are answered together, with their numbers: ranges of one object, or anything else by itself.
fn batches(needs: Vec<Need>) -> Vec<Vec<(usize, Need)>> {
    let mut batches: Vec<Vec<(usize, Need)>> = Vec::new();
    let mut bytes = 0;
    for (number, need) in needs.into_iter().enumerate() {
        let length = if let Need::Range { length, .. } = &need { *length } else { u64::MAX };
        bytes = length.saturating_add(bytes);
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH.0 && bytes <= BATCH.1 && batch[0].1.path() == need.path() => {
                batch.push((number, need));
            }
            _ => {
                bytes = length;
                batches.push(vec![(number, need)]);
            }
        }
    }
    batches
}

/// The engine's tasks end in any order.
fn in_order<F>(io: &Io<'_>, lookups: Vec<F>, in_flight: usize) -> Result<Vec<Reply>, StorageError>
where
    F: Future<Output = Result<Vec<(usize, Reply)>, StorageError>> + Send,
{
    let mut replies: Vec<_> = io.run(lookups, in_flight)?.into_iter().flatten().collect();
    replies.sort_by_key(|(number, _)| *number);
    Ok(replies.into_iter().map(|(_, reply)| reply).collect())
}

async fn reply(store: &dyn Store, batch: Vec<(usize, Need)>) -> Result<Vec<(usize, Reply)>, StorageError> {
    let mut ranges = Vec::with_capacity(batch.len());
    let mut replies = Vec::new();
    for (number, need) in batch {
        let reply = match need {
            Need::Range { path, offset, length } => {
                ranges.push((number, path, offset, length));
                continue;
            }
            Need::Size(path) => Reply::Size(store.size(&path).await?),
            Need::Presence(path) => match store.size(&path).await {
                Err(StorageError::NotFound { .. }) => Reply::Presence(None),
                size => Reply::Presence(Some(size?)),
            },
            // Indexes are read in this way, which may be replaced meanwhile.
            Need::Whole(path) => Reply::Bytes(read_whole(store, &path).await?.0),
            Need::Listing(prefix) => Reply::Listing(store.list(prefix.as_ref()).await?),
        };
        replies.push((number, reply));
    }
    if let Some((_, path, ..)) = ranges.first() {
        let path = path.clone();
        replies.extend(fetch(store, &path, ranges).await?);
    }
    Ok(replies)
}

/// Reads ranges of one object. Little is allocated for a range that is not there.
async fn fetch(
    store: &dyn Store,
    path: &StorePath,
    ranges: Vec<(usize, StorePath, u64, u64)>,
) -> Result<Vec<(usize, Reply)>, StorageError> {
    if let Some((_, _, offset, length)) = ranges.iter().max_by_key(|(.., length)| *length)
        && *length > TRUSTED
    {
        let size = store.size(path).await?;
        if offset.checked_add(*length).is_none_or(|end| end > size) {
            let (location, path, offset, length) = (store.location(), path.clone(), *offset, *length);
            return Err(StorageError::OutOfRange { location, path, offset, length, size });
        }
    }
    let mut buffers: Vec<Vec<u8>> = ranges.iter().map(|(.., length)| vec![0; *length as usize]).collect();
    let wanted = ranges.iter().zip(&mut buffers);
    let mut wanted: Vec<_> = wanted.map(|((_, _, offset, _), buffer)| ReadRange { offset: *offset, buffer }).collect();
    store.read(path, &mut wanted).await?;
    let answered = ranges.into_iter().zip(buffers);
    Ok(answered.map(|((number, ..), buffer)| (number, Reply::Bytes(Bytes::from(buffer)))).collect())
}

fn length(reply: &Reply) -> u64 {
    match reply {
        Reply::Bytes(bytes) => bytes.len() as u64,
        _ => 0,
    }
}
