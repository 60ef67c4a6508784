//! The first pass: which memo slots are ever fetched.
//!
//! Of a large pickle, two threads run over a half each. Where the second half starts is a guess: the start of a frame, if the lengths of frames are
//! true. The first thread sees whether it is right as it gets there; if not, it runs on, as if there were no other. So the outcome is always that of one
//! thread, and so is every error.

use super::op::{Op, Ops};
use super::slots::Slots;
use super::{Fault, PickleError};
use crate::beside::{LARGE, beside};

/// Runs ahead through the operations to see which slots are fetched.
///
/// A pickler numbers slots from 0, and filling one takes a byte: larger numbers than there are bytes are refused.
pub(super) fn fetched_slots(bytes: &[u8]) -> Result<Slots, PickleError> {
    if bytes.len() < LARGE { Scan::new(bytes, 0).finished() } else { in_halves(bytes) }
}

fn in_halves(bytes: &[u8]) -> Result<Slots, PickleError> {
    let Some(middle) = middle_frame(bytes) else { return Scan::new(bytes, 0).finished() };
    let mut front = Scan::new(bytes, 0);
    let (back, ran) = beside(|| Scan::new(bytes, middle).alone(), || front.run(middle));
    ran?;
    match back.flatten() {
        Some(back) if front.ops.position() == middle && !front.is_over && !front.puts => {
            front.fetched.join(&back);
            Ok(front.fetched)
        }
        // The guess was wrong, or something is: this thread will see what.
        _ => front.finished(),
    }
}

/// The start of a frame in the middle of the bytes, if they are frame after frame up to there. Whether operations meet there is not known.
fn middle_frame(bytes: &[u8]) -> Option<usize> {
    const HEADER: usize = 9;
    // After the version of the protocol.
    let mut position = 2;
    while position < bytes.len() / 2 {
        let header = bytes.get(position..)?.first_chunk::<HEADER>()?;
        let [b'\x95', length @ ..] = header else { return None };
        position = usize::try_from(u64::from_le_bytes(*length)).ok()?.checked_add(position + HEADER)?;
    }
    (position < bytes.len()).then_some(position)
}

struct Scan<'a> {
    ops: Ops<'a>,
    /// Slots are below this.
    limit: u64,
    fetched: Slots,
    puts: bool,
    memoizes: bool,
    /// Whether STOP has come.
    is_over: bool,
}

impl<'a> Scan<'a> {
    fn new(bytes: &'a [u8], position: usize) -> Self {
        let (ops, limit) = (Ops::at(bytes, position), bytes.len() as u64);
        Self { ops, limit, fetched: Slots::default(), puts: false, memoizes: false, is_over: false }
    }

    fn finished(mut self) -> Result<Slots, PickleError> {
        self.run(usize::MAX)?;
        Ok(self.fetched)
    }

    /// The slots, if what comes before can make no difference to them.
    fn alone(mut self) -> Option<Slots> {
        self.run(usize::MAX).ok()?;
        Some(self.fetched).filter(|_| !self.puts)
    }

    /// Runs up to the end, or the first operation that does not start before a position.
    fn run(&mut self, until: usize) -> Result<(), PickleError> {
        while !self.is_over && self.ops.position() < until {
            // Numbered slots are not to be mixed with others: the rare pickles that have them are looked at one by one.
            while !self.puts
                && self.ops.position() < until
                && let Some(skipped) = self.ops.skip(self.limit)
            {
                self.memoizes |= skipped.memoizes;
                if let Some(slot) = skipped.get {
                    self.fetched.insert(slot);
                }
            }
            if self.ops.position() < until {
                self.step()?;
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), PickleError> {
        let position = self.ops.position();
        match self.ops.next()? {
            Op::Stop => self.is_over = true,
            Op::Put(slot) | Op::Get(slot) if slot >= self.limit => {
                return Err(Fault::limit("the number of a memo slot", self.limit).at(position));
            }
            Op::Get(slot) => self.fetched.insert(slot),
            Op::Put(_) => self.puts = true,
            Op::Memoize => self.memoizes = true,
            _ => {}
        }
        if !self.is_over && self.puts && self.memoizes {
            return Err(Fault::unsupported("a mix of numbered and unnumbered memo slots").at(position));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<u8>().prop_map(|slot| vec![b'h', slot % 40]),
            (0..90u32).prop_map(|slot| [&b"j"[..], &slot.to_le_bytes()].concat()),
            any::<u8>().prop_map(|int| vec![b'K', int]),
            prop::collection::vec(any::<u8>(), 0..20)
                .prop_map(|text| [&[b'\x8c', text.len() as u8], &*text, b"\x94"].concat()),
            prop::sample::select(vec![&b"\x94"[..], b")\x81\x94}\x94(", b"\x85\x94R\x94", b"ub", b".", b"q\x05"])
                .prop_map(<[u8]>::to_vec),
        ]
    }

    fn frame() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(operation(), 0..30).prop_map(|operations| {
            let operations = operations.concat();
            [&b"\x95"[..], &(operations.len() as u64).to_le_bytes(), &operations].concat()
        })
    }

    proptest! {
        #[test]
        fn two_threads_see_what_one_sees(
            frames in prop::collection::vec(frame(), 1..6),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
        ) {
            let mut pickle = [&b"\x80\x04"[..], &frames.concat(), b"."].concat();
            for (at, byte) in damage {
                let at = at.index(pickle.len());
                pickle[at] = byte;
            }
            let alone = Scan::new(&pickle, 0).finished();
            prop_assert_eq!(format!("{:?}", in_halves(&pickle)), format!("{alone:?}"));
        }
    }

    #[test]
    fn the_middle_is_between_frames() {
        let frame = |operations: &[u8]| [&b"\x95"[..], &(operations.len() as u64).to_le_bytes(), operations].concat();
        let pickle = [&b"\x80\x04"[..], &frame(b"]\x94"), &frame(b"h\x00h\x00"), &frame(b"h\x02.")].concat();
        assert_eq!(middle_frame(&pickle), Some(2 + 11 + 13));
        assert_eq!(middle_frame(&pickle[2..]), None);
        assert_eq!(middle_frame(&pickle[..2 + 11]), None);
    }
}
