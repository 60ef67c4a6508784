//! What the machine can do at best.

use std::hint::black_box;
use std::sync::Barrier;

use dcp::Checksum;

use super::save::{COLUMNS, TENSORS};
use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{PLAIN, Shape, State, plain};
use crate::report::{Comparison, Figure, Row, Unit};
use crate::sizes::{count, show};
use crate::threads::{each_on_a_thread, timed};
use crate::turns::Turns;
use crate::used::Used;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let bytes = bench.sizes.state;
    let what = format!("what the machine does with {} at best", show(bytes));
    let mut comparison = Comparison::new("limits", what, Unit::GbPerSecond, &[PLAIN]);
    for (what, work) in IN_MEMORY {
        for threads in [1, 2] {
            let mut turns = Turns::new(bench.repeat);
            turns.add(PLAIN, "", || work(bytes, threads));
            comparison.push(Row::new(format!("{what}, {}", count(threads, "thread")), turns.take()?.rates(bytes)), &[]);
        }
    }
    for &ranks in bench.sizes.ranks {
        for row in files(bench, ranks)? {
            comparison.push(row, &[]);
        }
    }
    let state = State::new(Shape::of_bytes(bytes, TENSORS, COLUMNS), 1, 0)?;
    let durable = written(bench, &state, &plain::DURABLE_WAYS, true)?;
    comparison.push(Row::new("durable write, 1 rank", durable), &[]);
    Ok(vec![comparison])
}

/// Done with so many bytes, on so many threads.
type Work = fn(usize, usize) -> Result<Used, Fault>;

const IN_MEMORY: [(&str, Work); 2] = [("memcpy", copy), ("CRC-32C", checksum)];

fn copy(bytes: usize, threads: usize) -> Result<Used, Fault> {
    let share = bytes / 2 / threads;
    on_threads(
        threads,
        || (vec![1u8; share], vec![2u8; share]),
        |(from, to)| {
            // As many bytes as there are, half of them at a time.
            to.copy_from_slice(from);
            black_box(&mut *to);
            from.copy_from_slice(to);
            black_box(&mut *from);
        },
    )
}

fn checksum(bytes: usize, threads: usize) -> Result<Used, Fault> {
    on_threads(
        threads,
        || vec![1u8; bytes / threads],
        |bytes| {
            black_box(Checksum::Crc32c.of(bytes));
        },
    )
}

/// Plain files, written into the page cache, and read from it.
fn files(bench: &Bench, ranks: usize) -> Result<[Row; 2], Fault> {
    let shape = Shape::of_bytes(bench.sizes.state, TENSORS, COLUMNS);
    let (state, place) = (&State::new(shape, ranks, 0)?, &bench.place("limits")?);
    let write = written(bench, state, &plain::WAYS, false)?;
    plain::write(state, place, plain::WAYS[0], true)?;
    let mut turns = Turns::new(bench.repeat);
    for way in plain::WAYS {
        turns.add(PLAIN, way, move || plain::read(state, place, way).map(Used::time));
    }
    let read = Row::new(format!("read, {}", count(ranks, "rank")), turns.take()?.rates(shape.bytes()));
    remove(place)?;
    Ok([Row::new(format!("write, {}", count(ranks, "rank")), write), read])
}

fn written(bench: &Bench, state: &State, ways: &[plain::Way], fsync: bool) -> Result<Vec<Figure>, Fault> {
    let place = bench.place("limits")?;
    let mut turns = Turns::new(bench.repeat);
    for &way in ways {
        let place = &place;
        turns.add(PLAIN, way, move || {
            let seconds = plain::write(state, place, way, fsync)?;
            remove(place)?;
            Ok(Used::time(seconds))
        });
    }
    Ok(turns.take()?.rates(state.shape.bytes()))
}

fn on_threads<T>(threads: usize, make: impl Fn() -> T + Sync, work: impl Fn(&mut T) + Sync) -> Result<Used, Fault> {
    let all = Barrier::new(threads);
    let times = each_on_a_thread(0..threads, |_| {
        let mut mine = make();
        timed(&all, || work(&mut mine)).0
    })?;
    Ok(Used::time(times.into_iter().fold(0.0, f64::max)))
}
