//! Runs an [`Ask`] against a store.

use bytes::Bytes;

use super::read_whole;
use crate::{Ask, Io, Need, ReadRange, Reply, Step, StorageError, Store, StorePath};

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
                let lookups = needs.into_iter().map(|need| reply(store, need)).collect();
                replies = in_order(io, lookups, store.traits().reads_in_flight)?;
                let more = replies.iter().map(length).sum::<u64>();
                io.advance(more);
                bytes += more;
            }
        }
    }
}

/// The engine's tasks end in any order.
fn in_order<F>(io: &Io<'_>, lookups: Vec<F>, in_flight: usize) -> Result<Vec<Reply>, StorageError>
where
    F: Future<Output = Result<Reply, StorageError>> + Send,
{
    let numbered = lookups.into_iter().enumerate();
    let numbered = numbered.map(|(number, lookup)| async move { Ok((number, lookup.await?)) }).collect();
    let mut replies = io.run(numbered, in_flight)?;
    replies.sort_by_key(|(number, _)| *number);
    Ok(replies.into_iter().map(|(_, reply)| reply).collect())
}

async fn reply(store: &dyn Store, need: Need) -> Result<Reply, StorageError> {
    Ok(match need {
        Need::Size(path) => Reply::Size(store.size(&path).await?),
        // Indexes are read in this way, which may be replaced meanwhile.
        Need::Whole(path) => Reply::Bytes(read_whole(store, &path).await?.0),
        Need::Range { path, offset, length } => {
            let size = store.size(&path).await?;
            Reply::Bytes(fetch(store, &path, offset, length, size).await?)
        }
    })
}

/// Reads a range of an object of a known size. Nothing is allocated for a range that is not there.
async fn fetch(
    store: &dyn Store,
    path: &StorePath,
    offset: u64,
    length: u64,
    size: u64,
) -> Result<Bytes, StorageError> {
    if offset.checked_add(length).is_none_or(|end| end > size) {
        let (location, path) = (store.location(), path.clone());
        return Err(StorageError::OutOfRange { location, path, offset, length, size });
    }
    let mut buffer = vec![0; length as usize];
    store.read(path, &mut [ReadRange { offset, buffer: &mut buffer }]).await?;
    Ok(buffer.into())
}

fn length(reply: &Reply) -> u64 {
    match reply {
        Reply::Bytes(bytes) => bytes.len() as u64,
        Reply::Size(_) => 0,
    }
}
