//! Cuts tensors into what is read at a time.
//!
//! What a chunk of one side and a chunk of the other have in common is a piece. Pieces that fit into memory are read in batches. Larger
//! ones are cut, if any part of both chunks can be read and checked by itself; otherwise the two are read in step, from the first
//! byte to the last.

use dcp_storage::{Locator, Verify};
use dcp_types::{Chunk, ReadItem, ReadWhat, Region};

use super::pairs::TensorPair;
use super::report::Side;
use super::tensors::Run;
use crate::Error;

/// So many bytes are read into memory at a time, of each side, by each thread.
pub(super) const SLAB: u64 = 4 << 20;
/// So many pieces are in a batch.
const PIECES: usize = 1 << 8;
/// So many chunks are located at a time.
const CHUNKS: usize = 1 << 10;
/// Checksum blocks of more bytes are too much to read for the sake of a part of them.
const LARGE_BLOCK: u64 = 1 << 20;

/// A part of a tensor that lies in one chunk on each side.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The number of the pair.
    pub(super) pair: usize,
    pub(super) chunks: [Chunk; 2],
    pub(super) region: Region,
    /// How each side is checked while it is read: [`Verify::All`], unless the price were to read more than the piece. Then it is
    /// [`Verify::Covered`], and the tensor is to be checked by itself before it is called different.
    pub(super) verify: [Verify; 2],
}

/// What one thread does at a time.
#[derive(Debug)]
pub(super) enum Job {
    /// Pieces that fit into memory together.
    Batch(Vec<Piece>),
    /// A piece that does not, and is read in step.
    Long(Box<Piece>),
}

impl Piece {
    /// What is to be read of it on one side.
    pub(super) fn item(&self, pairs: &[TensorPair<'_>], side: Side) -> ReadItem {
        let (chunk, region) = (self.chunks[side as usize].clone(), self.region.clone());
        ReadItem { entry: pairs[self.pair].entries[side as usize], what: ReadWhat::Region { chunk, region } }
    }

    pub(super) fn bytes(&self, pairs: &[TensorPair<'_>]) -> u64 {
        self.region.numel() * pairs[self.pair].tensors[0].dtype.size()
    }

    fn is_whole(&self, side: Side) -> bool {
        self.region == self.chunks[side as usize].region
    }
}

/// Hands on everything that is to be read.
pub(super) fn cut(run: &Run<'_>, hand_on: &mut dyn FnMut(Job)) {
    let mut batch = Batch { pieces: Vec::new(), bytes: 0, hand_on };
    for (number, pair) in run.pairs.iter().enumerate() {
        let size = pair.tensors[0].dtype.size();
        let mut divisible = [None; 2];
        for piece in pieces(number, pair) {
            if run.is_given_up(number) {
                break;
            }
            let bytes = piece.bytes(run.pairs);
            match prepare(run, piece, &mut divisible) {
                Ok((piece, _)) if bytes <= SLAB => batch.add(piece, bytes),
                Ok((piece, true)) => {
                    for region in piece.region.slabs(SLAB / size) {
                        let bytes = region.numel() * size;
                        batch.add(Piece { region, ..piece.clone() }, bytes);
                    }
                }
                Ok((piece, false)) => (batch.hand_on)(Job::Long(Box::new(piece))),
                Err((side, error)) => run.give_up(number, side, error),
            }
        }
    }
    batch.finish();
}

/// What the chunks of the two sides have in common.
fn pieces<'a>(number: usize, pair: &'a TensorPair<'_>) -> impl Iterator<Item = Piece> + 'a {
    let [left, right] = pair.tensors;
    left.all_chunks().flat_map(move |chunk| {
        let others = right.chunks_meeting(&chunk.region);
        others.into_iter().filter_map(move |other| {
            let region = chunk.region.intersect(&other.region)?;
            let chunks = [chunk.clone(), other];
            Some(Piece { pair: number, chunks, region, verify: [Verify::All; 2] })
        })
    })
}

/// Finds out how a piece is to be checked, and whether it can be cut. What is known of the chunks of its tensor is kept.
fn prepare(run: &Run<'_>, mut piece: Piece, divisible: &mut [Option<bool>; 2]) -> Result<(Piece, bool), (Side, Error)> {
    let mut can_be_cut = true;
    for (side, known) in Side::BOTH.into_iter().zip(divisible) {
        if piece.is_whole(side) && piece.bytes(run.pairs) <= SLAB {
            continue;
        }
        let is_divisible = match *known {
            Some(is_divisible) => is_divisible,
            None => are_divisible(run, piece.pair, side).map_err(|error| (side, error))?,
        };
        *known = Some(is_divisible);
        can_be_cut &= is_divisible;
        if !is_divisible && !piece.is_whole(side) {
            piece.verify[side as usize] = Verify::Covered;
        }
    }
    Ok((piece, can_be_cut))
}

/// Whether any part of any chunk of a tensor can be read, and compared with its checksums, at about the price of that part.
fn are_divisible(run: &Run<'_>, pair: usize, side: Side) -> Result<bool, Error> {
    let TensorPair { entries, tensors, .. } = &run.pairs[pair];
    let (entry, tensor) = (entries[side as usize], tensors[side as usize]);
    let mut chunks = tensor.all_chunks().map(|chunk| ReadItem::whole_chunk(entry, chunk)).peekable();
    while chunks.peek().is_some() {
        let located = run.sides.locate(side, chunks.by_ref().take(CHUNKS).collect())?;
        if !located.iter().all(is_divisible) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_divisible(at: &Locator) -> bool {
    let Locator::Extent(extent) = at else { return false };
    extent.layout.strides.is_none() && extent.checks.as_ref().is_none_or(|checks| checks.block <= LARGE_BLOCK)
}

/// Pieces that wait for more, to be read at once.
struct Batch<'h> {
    pieces: Vec<Piece>,
    bytes: u64,
    hand_on: &'h mut dyn FnMut(Job),
}

impl Batch<'_> {
    fn add(&mut self, piece: Piece, bytes: u64) {
        if self.bytes + bytes > SLAB || self.pieces.len() == PIECES {
            self.finish();
        }
        self.pieces.push(piece);
        self.bytes += bytes;
    }

    fn finish(&mut self) {
        self.bytes = 0;
        let pieces = std::mem::take(&mut self.pieces);
        if !pieces.is_empty() {
            (self.hand_on)(Job::Batch(pieces));
        }
    }
}
