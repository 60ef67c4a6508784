//! Objects that are put and got as they are.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use dcp::crates::dcp_storage::ReadRange;
use dcp::{Error, Store, StorePath};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Shape, block_on, piece};
use crate::failure::Failure;

/// Puts all memory into as many objects as jobs, each of them streamed.
pub(super) fn put(store: &Arc<dyn Store>, shape: Shape, memory: &[u8]) -> Result<(), Failure> {
    at_once(memory.chunks(shape.object()), |path, part| {
        block_on(async {
            let mut upload = store.create(&path, Some(part.len() as u64)).await?;
            for piece in part.chunks(piece(store)) {
                upload.write(piece).await?;
            }
            upload.finish().await.map(drop)
        })
    })
}

/// Gets all objects, by ranges of which as many are under way as the store wants.
pub(super) fn get(store: &Arc<dyn Store>, shape: Shape, memory: &mut [u8]) -> Result<(), Failure> {
    let (piece, in_flight) = (piece(store), store.traits().reads_in_flight.max(1));
    at_once(memory.chunks_mut(shape.object()), |path, part| {
        let ranges = (0u64..).step_by(piece).zip(part.chunks_mut(piece));
        let path = &path;
        let reads =
            ranges.map(|(offset, buffer)| async move { store.read(path, &mut [ReadRange { offset, buffer }]).await });
        block_on(stream::iter(reads).buffer_unordered(in_flight).try_collect())
    })
}

/// Does something with each part and its object, all at once.
fn at_once<T: Send>(
    parts: impl Iterator<Item = T>,
    work: impl Fn(StorePath, T) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    thread::scope(|scope| {
        let work = &work;
        let on_thread = |(number, part)| {
            scope.spawn(move || work(StorePath::parse(&format!("object-{number}")).map_err(Error::from)?, part))
        };
        let workers: Vec<_> = parts.enumerate().map(on_thread).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
