//! A few rows out of one large chunk, opening included.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use dcp::{Checkpoint, Region};

use crate::report;
use dcp_benches::Python;

const SCRIPT: &str = "torch_read.py";
const COLUMNS: usize = 1024;
/// The slice is one of so many.
const PARTS: usize = 64;

pub(crate) fn run(python: &Python, dir: &Path, bytes: usize, repeat: usize) -> Result<(), Box<dyn Error>> {
    let rows = (bytes / COLUMNS / 4).next_multiple_of(PARTS);
    python.run(SCRIPT, "save_chunk", dir, &[rows, COLUMNS])?;
    let (mut ours, mut torch) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        ours.push(load(dir, rows)?);
        let seconds = serde_json::from_slice(&python.run(SCRIPT, "load_slice", dir, &[rows, COLUMNS, PARTS])?)?;
        torch.push(Duration::from_secs_f64(seconds));
    }
    let kib = (rows * COLUMNS * 4) >> 10;
    report(&format!("{} KiB of a chunk of {} MiB", kib / PARTS, kib >> 10), &ours, &torch);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// The second time, as with PyTorch.
fn load(dir: &Path, rows: usize) -> Result<Duration, Box<dyn Error>> {
    load_once(dir, rows)?;
    load_once(dir, rows)
}

fn load_once(dir: &Path, rows: usize) -> Result<Duration, Box<dyn Error>> {
    let height = rows / PARTS;
    let first = PARTS / 2 * height;
    let start = Instant::now();
    let checkpoint = Checkpoint::open(dir)?;
    let slice = checkpoint.slice("tensor", &Region::new([first as u64, 0], [height as u64, COLUMNS as u64])?)?;
    let time = start.elapsed();
    let expected = (first * COLUMNS) as i32..;
    let is_right = slice.to_array::<i32>()?.iter().zip(expected).all(|(found, expected)| *found == expected);
    if is_right { Ok(time) } else { Err("what was loaded is not what was saved".into()) }
}
