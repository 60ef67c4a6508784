//! The machine's own limit: the bytes of a state written and read by threads, without any checkpoint.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Barrier;

use super::State;
use crate::Fault;
use crate::sizes::count;
use crate::threads::{each_on_a_thread, timed};

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Threads of each rank.
    threads: usize,
    /// Bytes at a time, at most; nothing goes beyond the end of a tensor.
    block: usize,
}

/// The ways to write, and to read, of which the best counts.
pub(crate) const WAYS: [Way; 6] = [
    Way { threads: 1, block: 256 << 10 },
    Way { threads: 1, block: 1 << 20 },
    Way { threads: 1, block: 8 << 20 },
    Way { threads: 2, block: 256 << 10 },
    Way { threads: 2, block: 1 << 20 },
    Way { threads: 2, block: 8 << 20 },
];

/// The same, for durable writes: what is slow may be tried less often.
pub(crate) const DURABLE_WAYS: [Way; 2] = [Way { threads: 1, block: 1 << 20 }, Way { threads: 2, block: 1 << 20 }];

/// For people.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} a rank, {} KiB", count(self.threads, "thread"), self.block >> 10)
    }
}

/// Writes a file for each thread; returns the seconds.
pub(crate) fn write(state: &State, to: &Path, way: Way, fsync: bool) -> Result<f64, Fault> {
    fs::create_dir_all(to)?;
    on_threads(state, way, |share| {
        let mut file = File::create(to.join(name(share.rank, share.thread)))?;
        for block in share.tensors.iter().flat_map(|tensor| tensor.chunks(way.block)) {
            file.write_all(block)?;
        }
        if fsync { file.sync_all() } else { Ok(()) }
    })
}

/// Reads what one thread of each rank has written; returns the seconds.
pub(crate) fn read(state: &State, from: &Path, way: Way) -> Result<f64, Fault> {
    state.clear()?;
    let seconds = on_threads(state, way, |share| {
        let file = File::open(from.join(name(share.rank, 0)))?;
        let mut offset = share.offset;
        for block in share.tensors.iter_mut().flat_map(|tensor| tensor.chunks_mut(way.block)) {
            file.read_exact_at(block, offset)?;
            offset += block.len() as u64;
        }
        Ok(())
    })?;
    state.check(from)?;
    Ok(seconds)
}

fn name(rank: usize, thread: usize) -> String {
    format!("plain-{rank}-{thread}")
}

/// What a thread of a rank writes or reads.
struct Share<'a> {
    rank: usize,
    thread: usize,
    /// Where it begins in the bytes of the rank.
    offset: u64,
    tensors: &'a mut [&'a mut [u8]],
}

/// Gives each thread of each rank its share; returns the seconds that it takes all of them.
fn on_threads(state: &State, way: Way, work: impl Fn(Share<'_>) -> io::Result<()> + Sync) -> Result<f64, Fault> {
    let all = Barrier::new(state.ranks() * way.threads);
    let ranks = each_on_a_thread(0..state.ranks(), |rank| {
        state.with(rank, |tensors| {
            let tensors = tensors.iter_mut().filter_map(|tensor| tensor.as_slice_mut());
            let mut tensors: Vec<&mut [u8]> = tensors.map(bytemuck::cast_slice_mut).collect();
            each_on_a_thread(shares(rank, way.threads, &mut tensors), |share| timed(&all, || work(share)))
        })
    })?;
    let mut longest: f64 = 0.0;
    for threads in ranks {
        for (seconds, outcome) in threads? {
            outcome?;
            longest = longest.max(seconds);
        }
    }
    Ok(longest)
}

/// The same number of tensors for each, as far as there are any.
fn shares<'a>(rank: usize, threads: usize, mut tensors: &'a mut [&'a mut [u8]]) -> Vec<Share<'a>> {
    let most = tensors.len().div_ceil(threads);
    let mut offset = 0;
    let mut shares = Vec::new();
    for thread in 0..threads {
        let (share, rest) = tensors.split_at_mut(most.min(tensors.len()));
        tensors = rest;
        let length: usize = share.iter().map(|tensor| tensor.len()).sum();
        shares.push(Share { rank, thread, offset, tensors: share });
        offset += length as u64;
    }
    shares
}
