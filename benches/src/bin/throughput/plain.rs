//! The machine's own limit: the same bytes written and read by as many threads, without any checkpoint.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::contest::{Shape, Table, Task};

const BLOCK: usize = 4 << 20;

pub(crate) fn run(dir: &Path, shape: &Shape, ranks: usize, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let share = shape.bytes() / ranks;
    let barrier = Barrier::new(ranks);
    let work = &|rank: usize| -> std::io::Result<[Duration; 2]> {
        let path = dir.join(format!("plain-{rank}"));
        let mut memory = vec![rank as u8 + 1; share];
        barrier.wait();
        let start = Instant::now();
        let mut file = File::create(&path)?;
        for block in memory.chunks(BLOCK) {
            file.write_all(block)?;
        }
        file.sync_all()?;
        barrier.wait();
        let write = start.elapsed();
        barrier.wait();
        let start = Instant::now();
        let mut file = File::open(&path)?;
        for block in memory.chunks_mut(BLOCK) {
            file.read_exact(block)?;
        }
        barrier.wait();
        let read = start.elapsed();
        std::fs::remove_file(&path)?;
        Ok([write, read])
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..ranks).map(|rank| scope.spawn(move || work(rank))).collect();
        workers.into_iter().map(|worker| worker.join()).collect()
    });
    for (number, result) in results.into_iter().enumerate() {
        let [write, read] = result.map_err(|_| "a thread panicked")??;
        if number == 0 {
            table.add(Task::Save, "plain", write);
            table.add(Task::Load, "plain", read);
            table.add(Task::Reshard, "plain", read);
        }
    }
    Ok(())
}
