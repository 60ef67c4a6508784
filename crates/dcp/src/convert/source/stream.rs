//! What is read of one chunk of the source, as a stream.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use dcp_default_planner::cast;
use dcp_storage::{Io, StorageError, StorageReader};
use dcp_types::{DType, DataError, DataSink, Dest, ReadItem};

use crate::Checkpoint;

/// The memory that an open stream takes, in bytes: the reader's buffer, twice as it may widen reads to blocks, and the pieces.
pub(super) const MEMORY: u64 = 2 * BUFFER + (WAITING as u64 + 2) * PIECE as u64;

/// The most bytes that are read at a time.
pub(super) const BUFFER: u64 = 1 << 20;

/// Bytes go from thread to thread in pieces of this size,
const PIECE: usize = 128 << 10;
/// so many of which may wait.
const WAITING: usize = 2;

/// One read of a part of a chunk, by a thread of its own, which waits where nobody takes what it reads.
pub(super) struct Stream {
    pieces: Receiver<Vec<u8>>,
    reader: Option<JoinHandle<Result<(), StorageError>>>,
    piece: Vec<u8>,
    taken: usize,
    /// Bytes that are still to come.
    left: u64,
}

impl Stream {
    /// Starts to read. `bytes` is what comes after the conversion, if there is one.
    pub(super) fn open(
        checkpoint: &Checkpoint,
        io: Io<'static>,
        item: ReadItem,
        (from, to): (DType, DType),
        bytes: u64,
    ) -> Result<Self, DataError> {
        let (sender, pieces) = sync_channel(WAITING);
        let sink = Dest::Sink(Box::new(Pieces { sender, gathered: Vec::new(), left: bytes }));
        let sink = if from == to { Some(sink) } else { cast(from, to, sink) };
        let sink = sink.ok_or_else(|| format!("there is no conversion from {from} to {to}"))?;
        let checkpoint = checkpoint.clone();
        let read = move || {
            io.block_on(checkpoint.reader().read_data(vec![(item, sink)], &io))?;
            Ok(())
        };
        let reader = thread::Builder::new().name("dcp-convert".into()).spawn(read)?;
        Ok(Self { pieces, reader: Some(reader), piece: Vec::new(), taken: 0, left: bytes })
    }

    /// The next bytes. The last ones are not given before everything has been compared with its checksum.
    pub(super) fn read(&mut self, mut out: &mut [u8]) -> Result<(), DataError> {
        while !out.is_empty() {
            if self.taken == self.piece.len() {
                let Ok(piece) = self.pieces.recv() else {
                    self.join()?;
                    return Err("the source ended early".into());
                };
                (self.piece, self.taken) = (piece, 0);
            }
            let length = out.len().min(self.piece.len() - self.taken);
            let (now, later) = out.split_at_mut(length);
            now.copy_from_slice(&self.piece[self.taken..][..length]);
            self.taken += length;
            self.left = self.left.saturating_sub(length as u64);
            out = later;
        }
        if self.left == 0 { self.join() } else { Ok(()) }
    }

    /// What became of the read.
    fn join(&mut self) -> Result<(), DataError> {
        match self.reader.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => Ok(outcome?),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

/// No thread reads on for a stream that nobody wants any more.
impl Drop for Stream {
    fn drop(&mut self) {
        let (_, nothing) = sync_channel(0);
        self.pieces = nothing;
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

/// The end of a stream into which is read.
struct Pieces {
    sender: SyncSender<Vec<u8>>,
    gathered: Vec<u8>,
    left: u64,
}

impl DataSink for Pieces {
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), DataError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at((PIECE - self.gathered.len()).min(bytes.len()));
            self.gathered.extend_from_slice(now);
            self.left = self.left.saturating_sub(now.len() as u64);
            if self.gathered.len() == PIECE || self.left == 0 {
                let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE));
                self.sender.send(piece).map_err(|_| "nobody reads on")?;
            }
            bytes = later;
        }
        Ok(())
    }
}
