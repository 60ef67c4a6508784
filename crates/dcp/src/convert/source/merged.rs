//! A chunk that is put together from several streams.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use dcp_types::{DType, DataError, DataSource, ReadItem, Region, Runs, TensorEntry, TypesError};

use super::stream::Stream;
use super::{Origin, Wanted};

/// The bytes of a chunk in the order in which they are written. They can be read from the first to the last, once.
///
/// Each part of it that a chunk of the source has is some runs of it, in ascending order. So whose run starts first is next.
pub(super) struct Merged<'a> {
    origin: &'a Origin<'a>,
    /// From which dtype to which.
    dtypes: (DType, DType),
    is_checked: bool,
    shape: Vec<u64>,
    state: Mutex<State>,
}

struct State {
    parts: Vec<Part>,
    /// The first element of the next run of each part that has one, and the number of the part.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    /// The part whose run is being read, and the bytes left of it.
    current: usize,
    left: u64,
    position: u64,
}

/// What is read of one chunk of the source.
struct Part {
    item: ReadItem,
    runs: Runs,
    run_bytes: u64,
    bytes: u64,
    stream: Option<Stream>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(origin: &'a Origin<'a>, wanted: &Wanted<'_>) -> Result<Self, DataError> {
        let element = wanted.dtype.size();
        let (mut parts, mut next) = (Vec::new(), BinaryHeap::new());
        for (item, region) in Origin::parts(wanted) {
            let inside = region.relative_to(&wanted.region)?;
            let mut runs = inside.runs(wanted.region.sizes())?;
            let (run_bytes, bytes) = (runs.run_length() * element, region.numel() * element);
            let Some(first) = runs.next() else { continue };
            next.push(Reverse((first, parts.len())));
            parts.push(Part { item, runs, run_bytes, bytes, stream: None });
        }
        Ok(Self {
            origin,
            dtypes: (wanted.stored.dtype, wanted.dtype),
            is_checked: wanted.is_checked,
            shape: wanted.region.sizes().to_vec(),
            state: Mutex::new(State { parts, next, current: 0, left: 0, position: 0 }),
        })
    }

    fn fill(&self, state: &mut State, mut out: &mut [u8]) -> Result<(), DataError> {
        while !out.is_empty() {
            if state.left == 0 {
                let Some(Reverse((_, number))) = state.next.pop() else { return Err("it has no more bytes".into()) };
                (state.current, state.left) = (number, state.parts[number].run_bytes);
            }
            let part = &mut state.parts[state.current];
            let stream = match &mut part.stream {
                Some(stream) => stream,
                closed => {
                    let io = self.origin.io(self.is_checked);
                    let opened = Stream::open(&self.origin.checkpoint, io, part.item.clone(), self.dtypes, part.bytes);
                    closed.insert(opened?)
                }
            };
            let (now, later) = out.split_at_mut(state.left.min(out.len() as u64) as usize);
            stream.read(now)?;
            state.left -= now.len() as u64;
            if state.left == 0 {
                match part.runs.next() {
                    Some(start) => state.next.push(Reverse((start, state.current))),
                    None => part.stream = None,
                }
            }
            out = later;
        }
        Ok(())
    }
}

impl DataSource for Merged<'_> {
    fn dtype(&self) -> DType {
        self.dtypes.1
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if offset != state.position {
            return Err(format!("byte {offset} was asked for, but byte {} is next", state.position).into());
        }
        self.fill(&mut state, out)?;
        state.position += out.len() as u64;
        Ok(())
    }
}

/// How many chunks of a tensor must be open at once, at most, to read a region of it in row-major order.
pub(in crate::convert) fn open_at_once(stored: &TensorEntry, region: &Region) -> Result<u64, TypesError> {
    let mut events = Vec::new();
    for chunk in stored.chunks_meeting(region) {
        let Some(part) = chunk.region.intersect(region) else { continue };
        let part = part.relative_to(region)?;
        let number = |element: &dyn Fn(usize) -> u64| {
            region.sizes().iter().enumerate().fold(0, |number, (dim, extent)| number * extent + element(dim))
        };
        // Between its first element and its last. An end comes before a start at the same place.
        events.push((number(&|dim| part.offsets()[dim]), true));
        events.push((number(&|dim| part.end(dim) - 1) + 1, false));
    }
    events.sort_unstable();
    let (mut open, mut most) = (0, 0);
    for (_, starts) in events {
        if starts {
            open += 1
        } else {
            open -= 1
        }
        most = most.max(open);
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    use dcp_types::{ChunkList, Chunks, Shape};

    use super::*;

    #[test]
    fn what_lies_side_by_side_is_open_at_once() {
        let shape = Shape::new([4, 6]).expect("a shape");
        let region = |offsets: [u64; 2], sizes: [u64; 2]| Region::new(offsets, sizes).expect("a region");
        let quarters = [([0, 0], [2, 3]), ([0, 3], [2, 3]), ([2, 0], [2, 2]), ([2, 2], [2, 4])];
        let quarters = quarters.map(|(offsets, sizes)| region(offsets, sizes)).to_vec();
        let chunks = Chunks::List(ChunkList::new(&shape, quarters).expect("it tiles"));
        let tensor = TensorEntry { dtype: DType::UInt8, shape, chunks };
        let cases =
            [([0, 0], [4, 6], 2), ([0, 0], [4, 2], 1), ([1, 3], [2, 3], 1), ([2, 1], [1, 5], 1), ([2, 1], [2, 5], 2)];
        for (offsets, sizes, open) in cases {
            assert_eq!(open_at_once(&tensor, &region(offsets, sizes)), Ok(open), "{offsets:?} {sizes:?}");
        }
    }
}
