//! What 8 processes of PyTorch have saved by rows, loaded by 8 ranks as columns.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use dcp::{
    DType, DeviceMesh, Loader, Placement, StateTarget, TargetTensor, TensorSpec, ThreadGroup, ThreadRank, ViewMut,
};
use ndarray::Array2;

use crate::report;
use dcp_benches::Python;

const SCRIPT: &str = "torch_read.py";
const RANKS: usize = 8;
const TENSORS: usize = 64;
const COLUMNS: usize = 4096;

pub(crate) fn run(python: &Python, dir: &Path, bytes: usize, repeat: usize) -> Result<(), Box<dyn Error>> {
    let rows = (bytes / TENSORS / COLUMNS / 4).next_multiple_of(RANKS);
    let shape = [RANKS, TENSORS, rows, COLUMNS];
    python.run(SCRIPT, "save_rows", dir, &shape)?;
    let (mut ours, mut torch) = (Vec::new(), Vec::new());
    for _ in 0..repeat {
        ours.push(load(dir, rows)?);
        let seconds = serde_json::from_slice(&python.run(SCRIPT, "load_columns", dir, &shape)?)?;
        torch.push(Duration::from_secs_f64(seconds));
    }
    report(&format!("rows as columns, {RANKS} ranks ({} MiB)", (TENSORS * rows * COLUMNS * 4) >> 20), &ours, &torch);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

fn load(dir: &Path, rows: usize) -> Result<Duration, Box<dyn Error>> {
    let mesh = Arc::new(DeviceMesh::new([RANKS as u32])?);
    let spec = TensorSpec::sharded(DType::Float32, [rows as u64, COLUMNS as u64], &mesh, [Placement::Shard(1)])?;
    let barrier = Barrier::new(RANKS);
    let times = ThreadGroup::run(RANKS, |rank| -> Result<_, dcp::Error> {
        let mut local = vec![Array2::from_elem((rows, COLUMNS / RANKS), -1.0); TENSORS];
        barrier.wait();
        let start = Instant::now();
        let outcome = load_rank(&rank, &spec, &mut local, dir);
        barrier.wait();
        let time = start.elapsed();
        outcome?;
        let is_right = |(array, value): (&Array2<f32>, u16)| array.iter().all(|&element| element == f32::from(value));
        Ok((time, local.iter().zip(1..).all(is_right)))
    });
    let mut longest = Duration::ZERO;
    for rank in times {
        let (time, is_right) = rank.map_err(|_| "a rank panicked")??;
        if !is_right {
            return Err("what was loaded is not what was saved".into());
        }
        longest = longest.max(time);
    }
    Ok(longest)
}

fn load_rank(rank: &ThreadRank, spec: &TensorSpec, local: &mut [Array2<f32>], dir: &Path) -> Result<(), dcp::Error> {
    let names: Vec<String> = (0..TENSORS).map(|number| format!("tensor.{number}")).collect();
    let target: StateTarget<'_> = names
        .iter()
        .zip(local)
        .map(|(name, array)| {
            (name.as_str(), TargetTensor::new(spec.clone(), ViewMut::from_array(array.view_mut().into_dyn())))
        })
        .collect();
    Loader::new().group(rank).load_into(target, dir).map(drop)
}
