//! What saving and loading cost at a place, beside putting and getting the same bytes plainly.

mod checkpoint;
mod place;
mod plain;
mod report;

use std::io::Write;
use std::time::{Duration, Instant};

use dcp::crates::dcp_storage::Io;
use dcp::{Error, Location, Store, Verify};

use super::peak::peak_bytes;
use crate::args::BenchIo;
use crate::failure::Failure;
use place::Place;
use report::Report;

/// Writes, reads, removes, and tells what it took.
pub(super) fn io(location: &Location, args: &BenchIo, out: &mut dyn Write) -> Result<(), Failure> {
    let place = Place::new(location)?;
    let measured = measure(&place, args);
    let removed = place.remove();
    let times = measured?;
    removed?;
    let bytes = Shape::new(args).bytes() as u64;
    let report = Report { location: location.to_string(), bytes, args, times, peak_bytes: peak_bytes() };
    if args.json { report.json(out) } else { report.text(out) }
}

/// The times of one kind of transfer.
#[derive(Debug, Default)]
struct Times {
    put: Vec<Duration>,
    save: Vec<Duration>,
    get: Vec<Duration>,
    load: Vec<Duration>,
    load_unchecked: Vec<Duration>,
}

fn measure(place: &Place, args: &BenchIo) -> Result<Times, Failure> {
    let shape = Shape::new(args);
    let mut memory = shape.memory()?;
    let mut times = Times::default();
    for _ in 0..args.repeat {
        times.put.push(timed(|| plain::put(&place.plain, shape, &memory))?);
        times.save.push(timed(|| checkpoint::save(&place.checkpoint, shape, &memory))?);
        times.get.push(timed(|| plain::get(&place.plain, shape, &mut memory))?);
        let mut load = |verify| timed(|| checkpoint::load(&place.checkpoint, shape, &mut memory, verify));
        times.load.push(load(Verify::Covered)?);
        times.load_unchecked.push(load(Verify::None)?);
        place.clear()?;
    }
    Ok(times)
}

fn timed(work: impl FnOnce() -> Result<(), Failure>) -> Result<Duration, Failure> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Into what the bytes fall: equal tensors, several for each object.
#[derive(Clone, Copy, Debug)]
struct Shape {
    jobs: usize,
    /// The size of a tensor.
    tensor: usize,
}

impl Shape {
    const TENSORS_PER_JOB: usize = 4;

    fn new(args: &BenchIo) -> Self {
        let jobs = usize::from(args.jobs);
        let tensors = (jobs * Self::TENSORS_PER_JOB) as u64;
        Self { jobs, tensor: usize::try_from(args.bytes / tensors).unwrap_or(usize::MAX).max(1) }
    }

    fn object(self) -> usize {
        self.tensor * Self::TENSORS_PER_JOB
    }

    fn bytes(self) -> usize {
        self.object() * self.jobs
    }

    /// Bytes of which no long run is alike.
    fn memory(self) -> Result<Vec<u8>, Failure> {
        let mut memory = Vec::new();
        let refused = |_| Failure::Impossible(format!("there is no memory for {} bytes", self.bytes()));
        memory.try_reserve_exact(self.bytes()).map_err(refused)?;
        memory.extend((0..self.bytes() as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8));
        Ok(memory)
    }
}

/// Lets a thread do its own requests.
fn block_on<T: Send>(work: impl Future<Output = Result<T, dcp::StorageError>> + Send) -> Result<T, Failure> {
    Ok(Io::new().and_then(|io| io.block_on(work)).map_err(Error::from)?)
}

/// The size of what goes to a store, or comes from it, in one piece.
fn piece(store: &dyn Store) -> usize {
    usize::try_from(store.traits().read_size).unwrap_or(usize::MAX).max(1)
}
