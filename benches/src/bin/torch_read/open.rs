//! Opening an index of many ranks. Each time in a process of its own, which tells its peak of memory.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dcp::Checkpoint;
use dcp_benches::{Python, Used, printed};

use crate::report;

const SCRIPT: &str = "torch_metadata.py";

pub(crate) fn run(
    python: &Python,
    dir: &Path,
    ranks: usize,
    tensors: usize,
    repeat: usize,
) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(dir)?;
    let index = dir.join(".metadata");
    python.run(SCRIPT, "write", dir, &[ranks, tensors])?;
    let (mut ours, mut torch, mut peaks) = (Vec::new(), Vec::new(), [0; 2]);
    for _ in 0..repeat {
        let us = printed(Command::new(std::env::current_exe()?).arg("--child").arg(dir))?;
        let them = python.run(SCRIPT, "read", dir, &[])?;
        for ((times, peak), output) in [&mut ours, &mut torch].into_iter().zip(&mut peaks).zip([us, them]) {
            let Used { seconds, bytes } = Used::parse(&output)?;
            times.push(Duration::from_secs_f64(seconds));
            *peak = bytes.max(*peak);
        }
    }
    let size = std::fs::metadata(&index)?.len() >> 20;
    report(&format!("open {ranks} ranks x {tensors} ({size} MiB)"), &ours, &torch);
    let [us, them] = peaks.map(|peak| peak >> 20);
    println!("  {:<36}{us:>6} MiB{them:>6} MiB", "  peak memory of the process");
    Ok(())
}

/// What the child process does.
pub(crate) fn child(dir: &Path) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let checkpoint = Checkpoint::open(dir)?;
    let used = Used::since(start)?;
    std::hint::black_box(checkpoint.metadata().len());
    println!("{used}");
    Ok(())
}
