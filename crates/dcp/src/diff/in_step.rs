//! Two readers that hand over their bytes in step, so that neither has to be held.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use dcp_types::{DataError, DataSink, TypesError};

use super::report::Side;
use crate::Error;

/// So many bytes of each side are compared at a time: whole elements of any dtype.
const BLOCK: u64 = 256 << 10;
/// So many blocks may wait.
const WAITING: usize = 2;

/// Reads one side into a sink.
pub(super) type Reader<'a> = Box<dyn FnOnce(Box<dyn DataSink>) -> Result<(), Error> + Send + 'a>;

/// Is shown where in the bytes a block begins, and the block of either side.
pub(super) type Show<'a> = &'a mut dyn FnMut(u64, &[u8], &[u8]);

/// Runs two readers, each of which hands the same number of bytes to a sink, and shows both bytes block by block.
///
/// # Errors
/// What the first reader to fail says, and on which side that is. The other one is stopped.
pub(super) fn in_step(length: u64, readers: [Reader<'_>; 2], show: Show<'_>) -> Result<(), (Side, Error)> {
    let (left, lefts) = sync_channel(WAITING);
    let (right, rights) = sync_channel(WAITING);
    thread::scope(|scope| {
        let [read_left, read_right] = readers;
        let left = scope.spawn(move || read_left(Box::new(Blocks::new(left, length))));
        let right = scope.spawn(move || read_right(Box::new(Blocks::new(right, length))));
        let ended = receive(length, &lefts, &rights, show);
        // Whoever still reads finds nobody to take it, and stops.
        drop((lefts, rights));
        let [left, right] =
            [left, right].map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        match ended {
            None => left.map_err(|error| (Side::Left, error)).and(right.map_err(|error| (Side::Right, error))),
            Some((side, found)) => {
                let outcome = if side == Side::Left { left } else { right };
                let too_few = TypesError::BufferLength { expected: length, found };
                Err((side, outcome.err().unwrap_or_else(|| too_few.into())))
            }
        }
    })
}

/// Shows what arrives. Returns the side that ended too early, and how many bytes there were.
fn receive(length: u64, lefts: &Receiver<Vec<u8>>, rights: &Receiver<Vec<u8>>, show: Show<'_>) -> Option<(Side, u64)> {
    let mut position = 0;
    while position < length {
        let Ok(left) = lefts.recv() else { return Some((Side::Left, position)) };
        let Ok(right) = rights.recv() else { return Some((Side::Right, position)) };
        show(position, &left, &right);
        position += left.len() as u64;
    }
    None
}

/// Collects what is written into blocks of one size, but for the last.
struct Blocks {
    sender: SyncSender<Vec<u8>>,
    block: Vec<u8>,
    /// How many bytes are still to come.
    left: u64,
}

impl Blocks {
    fn new(sender: SyncSender<Vec<u8>>, length: u64) -> Self {
        Self { sender, block: Vec::new(), left: length }
    }
}

impl DataSink for Blocks {
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), DataError> {
        while !bytes.is_empty() {
            let size = BLOCK.min(self.left + self.block.len() as u64) as usize;
            if self.left == 0 {
                return Err("there is more of it than was asked for".into());
            }
            self.block.reserve_exact(size - self.block.len());
            let (now, later) = bytes.split_at(bytes.len().min(size - self.block.len()));
            self.block.extend_from_slice(now);
            self.left -= now.len() as u64;
            bytes = later;
            if self.block.len() == size {
                let block = std::mem::take(&mut self.block);
                self.sender.send(block).map_err(|_| "the comparison has ended")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands over these bytes in portions of an odd size.
    fn hand_over(bytes: Vec<u8>) -> Reader<'static> {
        Box::new(move |mut sink| {
            let write = |portion: &[u8]| sink.write(portion).map_err(|_| Error::Tolerance { value: 1.0 });
            bytes.chunks(100_003).try_for_each(write)
        })
    }

    fn fail() -> Reader<'static> {
        Box::new(|_| Err(Error::Tolerance { value: 7.0 }))
    }

    fn bytes(length: u64) -> Vec<u8> {
        (0..length).map(|number| (number % 251) as u8).collect()
    }

    #[test]
    fn every_byte_is_shown_once_beside_the_other() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 7] {
            let (expected, mut next) = (bytes(length), 0);
            let readers = [hand_over(bytes(length)), hand_over(bytes(length))];
            let shown = in_step(length, readers, &mut |position, left, right| {
                assert_eq!((position, left), (next, &expected[next as usize..][..left.len()]));
                assert_eq!(left, right);
                next += left.len() as u64;
            });
            assert!(shown.is_ok());
            assert_eq!(next, length);
        }
    }

    #[test]
    fn the_first_to_fail_is_named_and_stops_the_other() {
        let length = 40 * BLOCK;
        let mut nothing = |_, _: &[u8], _: &[u8]| {};
        for early in [0, BLOCK + 5, length - 1] {
            let outcome = in_step(length, [hand_over(bytes(length)), hand_over(bytes(early))], &mut nothing);
            let found = early / BLOCK * BLOCK;
            assert!(
                matches!(&outcome, Err((Side::Right, Error::Types(fault)))
                    if **fault == TypesError::BufferLength { expected: length, found }),
                "{early}: {outcome:?}"
            );
        }
        let outcome = in_step(length, [fail(), hand_over(bytes(length))], &mut nothing);
        assert!(matches!(outcome, Err((Side::Left, Error::Tolerance { value: 7.0 }))), "{outcome:?}");
        let outcome = in_step(length, [hand_over(bytes(length + 1)), hand_over(bytes(length))], &mut nothing);
        assert!(matches!(outcome, Err((Side::Left, Error::Tolerance { value: 1.0 }))), "{outcome:?}");
    }

    /// As a reader does whose last checksum is wrong.
    #[test]
    fn a_failure_after_the_last_byte_counts() {
        let late: Reader<'_> = Box::new(|sink| {
            hand_over(bytes(BLOCK))(sink)?;
            Err(Error::Tolerance { value: 7.0 })
        });
        let outcome = in_step(BLOCK, [hand_over(bytes(BLOCK)), late], &mut |_, _, _| {});
        assert!(matches!(outcome, Err((Side::Right, Error::Tolerance { value: 7.0 }))), "{outcome:?}");
    }
}
