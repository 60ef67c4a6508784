//! Compares tensors, on several threads.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use dcp_storage::Verify;
use dcp_types::{DataSink, Dest, Region, Shape, ViewMut};

use super::elements::{ElementComparer, Tally};
use super::in_step::{Reader, in_step};
use super::pairs::TensorPair;
use super::pieces::{self, Job, Piece};
use super::report::{Elements, Side};
use super::rule::Rule;
use super::sides::Sides;
use crate::Error;
use crate::checkpoint::each;

/// So many threads compare, at the most.
const THREADS: usize = 8;

/// Compares pairs of tensors. Returns what is to be said of those that are not the same, by number: in what they differ, or on which side and why
/// one cannot be read.
pub(super) fn compare(
    sides: &Sides<'_>,
    pairs: &[TensorPair<'_>],
    rule: Rule,
) -> BTreeMap<usize, Result<Elements, (Side, Error)>> {
    let run = Run { sides, pairs, rule, notes: Mutex::default() };
    let threads = thread::available_parallelism().map_or(2, usize::from).min(THREADS);
    let (jobs, taken) = sync_channel(threads);
    let taken = Arc::new(Mutex::new(taken));
    thread::scope(|scope| {
        for _ in 0..threads {
            let (run, taken) = (&run, Arc::clone(&taken));
            scope.spawn(move || run.work(&taken));
        }
        // Only they have it, so that nobody waits for them if they panic.
        drop(taken);
        pieces::cut(&run, &mut |job| drop(jobs.send(job)));
        drop(jobs);
    });
    run.finish()
}

/// One comparison of tensors, under way.
pub(super) struct Run<'a> {
    pub(super) sides: &'a Sides<'a>,
    pub(super) pairs: &'a [TensorPair<'a>],
    rule: Rule,
    notes: Mutex<BTreeMap<usize, Note>>,
}

/// What was found out about a pair of tensors. Of those that are the same there is none.
#[derive(Default)]
struct Note {
    tally: Tally,
    /// Whether there are checksums that were not compared.
    is_unchecked: [bool; 2],
    /// Why it cannot be compared.
    bad: Option<(Side, Error)>,
}

impl Run<'_> {
    /// Whether a pair cannot be compared anyway.
    pub(super) fn is_given_up(&self, pair: usize) -> bool {
        self.notes().get(&pair).is_some_and(|note| note.bad.is_some())
    }

    /// Notes why a pair cannot be compared.
    pub(super) fn give_up(&self, pair: usize, side: Side, error: Error) {
        self.notes().entry(pair).or_default().bad.get_or_insert((side, error));
    }

    fn notes(&self) -> MutexGuard<'_, BTreeMap<usize, Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, jobs: &Mutex<Receiver<Job>>) {
        let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok(job) = next() {
            match job {
                Job::Batch(pieces) => self.batch(pieces),
                Job::Long(piece) => self.long(&piece),
            }
        }
    }

    /// Compares pieces that are read into memory.
    fn batch(&self, mut pieces: Vec<Piece>) {
        pieces.retain(|piece| !self.is_given_up(piece.pair));
        let [left, right] = Side::BOTH.map(|side| self.read(side, &pieces));
        for (piece, (left, right)) in pieces.iter().zip(left.into_iter().zip(right)) {
            let (left, right) = match (left, right) {
                (Ok(left), Ok(right)) => (left, right),
                (Err(error), _) => {
                    self.give_up(piece.pair, Side::Left, error);
                    continue;
                }
                (_, Err(error)) => {
                    self.give_up(piece.pair, Side::Right, error);
                    continue;
                }
            };
            self.note(piece, &self.comparer(piece).compare(0, &left, &right));
        }
    }

    /// Reads pieces of one side, each of which may be bad by itself.
    fn read(&self, side: Side, pieces: &[Piece]) -> Vec<Result<Vec<u8>, Error>> {
        each(pieces, &mut |some| {
            let mut buffers = some.iter().map(|piece| vec![0; piece.bytes(self.pairs) as usize]).collect::<Vec<_>>();
            let mut wanted: [Vec<_>; 2] = Default::default();
            for (piece, buffer) in some.iter().zip(&mut buffers) {
                let dtype = self.pairs[piece.pair].tensors[side as usize].dtype;
                let view = ViewMut::from_bytes(dtype, piece.region.sizes(), buffer)?;
                let verify = piece.verify[side as usize];
                wanted[usize::from(verify == Verify::Covered)].push((piece.item(self.pairs, side), Dest::Memory(view)));
            }
            for (wanted, verify) in wanted.into_iter().zip([Verify::All, Verify::Covered]) {
                if !wanted.is_empty() {
                    self.sides.read(side, wanted, verify)?;
                }
            }
            Ok(buffers)
        })
    }

    /// Compares a piece that is too long for that.
    fn long(&self, piece: &Piece) {
        if self.is_given_up(piece.pair) {
            return;
        }
        let reader = |side: Side| -> Reader<'_> {
            let (item, verify) = (piece.item(self.pairs, side), piece.verify[side as usize]);
            Box::new(move |sink: Box<dyn DataSink>| self.sides.read(side, vec![(item, Dest::Sink(sink))], verify))
        };
        let (mut comparer, mut tally) = (self.comparer(piece), Tally::default());
        let size = self.pairs[piece.pair].tensors[0].dtype.size();
        let compared = in_step(piece.bytes(self.pairs), Side::BOTH.map(reader), &mut |position, left, right| {
            tally.add(&comparer.compare(position / size, left, right));
        });
        match compared {
            Ok(()) => self.note(piece, &tally),
            Err((side, error)) => self.give_up(piece.pair, side, error),
        }
    }

    fn comparer(&self, piece: &Piece) -> ElementComparer {
        ElementComparer::new(self.pairs[piece.pair].tensors[0].dtype, self.rule)
    }

    /// Adds what was found in a piece.
    fn note(&self, piece: &Piece, found: &Tally) {
        let is_unchecked = piece.verify.map(|verify| verify == Verify::Covered);
        if found.differing == 0 && is_unchecked == [false; 2] {
            return;
        }
        let shape = &self.pairs[piece.pair].tensors[0].shape;
        let first = found.first.map(|number| number_of(shape, &index_in(&piece.region, number)));
        let mut notes = self.notes();
        let note = notes.entry(piece.pair).or_default();
        note.tally.add(&Tally { first, ..*found });
        for (note, piece) in note.is_unchecked.iter_mut().zip(is_unchecked) {
            *note |= piece;
        }
    }

    fn finish(self) -> BTreeMap<usize, Result<Elements, (Side, Error)>> {
        let notes = self.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let outcome = |(number, note): (usize, Note)| {
            let pair = &self.pairs[number];
            let Note { tally, is_unchecked, bad } = note;
            if bad.is_none() && tally.differing == 0 {
                return None;
            }
            let check = |side: Side| {
                let outcome =
                    if is_unchecked[side as usize] { self.sides.check(side, pair.fqn.as_str()) } else { Ok(()) };
                outcome.map_err(|error| (side, error))
            };
            // Damage is no difference.
            let sound = bad.map_or_else(|| Side::BOTH.into_iter().try_for_each(check), Err);
            Some((number, sound.map(|()| elements(&pair.tensors[0].shape, &tally))))
        };
        notes.into_iter().filter_map(outcome).collect()
    }
}

fn elements(shape: &Shape, tally: &Tally) -> Elements {
    let Tally { differing, nan, first, max_abs, max_rel } = *tally;
    let first = index_in(&Region::full(shape), first.unwrap_or(0));
    Elements { differing, of: shape.numel(), first, max_abs, max_rel, nan }
}

/// Where in the tensor an element is that has this number in a region of it.
fn index_in(region: &Region, mut number: u64) -> Vec<u64> {
    let mut index = region.offsets().to_vec();
    for (place, size) in index.iter_mut().zip(region.sizes()).rev() {
        *place += number % size;
        number /= size;
    }
    index
}

/// The number of an element of a tensor, in row-major order.
fn number_of(shape: &Shape, index: &[u64]) -> u64 {
    shape.dims().iter().zip(index).fold(0, |number, (extent, place)| number * extent + place)
}
