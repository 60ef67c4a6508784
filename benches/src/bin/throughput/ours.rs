//! This system, on thread ranks.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use dcp::{
    Collective, DType, DeviceMesh, Loader, LocalTensor, Placement, Saver, StateDict, StateTarget, TargetTensor,
    TensorSpec, ThreadGroup, ThreadRank, View, ViewMut,
};
use ndarray::Array2;

use crate::contest::{Shape, Table, Task};

pub(crate) fn run(dir: &Path, shape: &Shape, ranks: usize, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let place = dir.join("dcp");
    let mesh = Arc::new(DeviceMesh::new([ranks as u32])?);
    let spec = |dim| {
        let extents = [shape.rows as u64, shape.columns as u64];
        TensorSpec::sharded(DType::Float32, extents, &mesh, [Placement::Shard(dim)])
    };
    let (by_rows, by_columns) = (spec(0)?, spec(1)?);
    let barrier = Barrier::new(ranks);
    let times = ThreadGroup::run(ranks, |rank| -> Result<[Duration; 3], dcp::Error> {
        let mut local = buffers(&by_rows, shape, &rank);
        let names: Vec<String> = (0..shape.tensors).map(|number| format!("tensor.{number}")).collect();
        let state: StateDict<'_> = names
            .iter()
            .zip(&local)
            .map(|(name, array)| {
                (name.as_str(), LocalTensor::new(by_rows.clone(), View::from_array(array.view().into_dyn())))
            })
            .collect();
        let saver = Saver::new().group(&rank);
        let save = timed(&barrier, || saver.save_dict(&state, &place).map(drop))?;
        drop(state);
        let load = timed(&barrier, || load(&rank, &by_rows, &names, &mut local, &place))?;
        drop(local);
        let mut local = buffers(&by_columns, shape, &rank);
        let reshard = timed(&barrier, || self::load(&rank, &by_columns, &names, &mut local, &place))?;
        Ok([save, load, reshard])
    });
    std::fs::remove_dir_all(&place)?;
    for (number, rank) in times.into_iter().enumerate() {
        let [save, load, reshard] = rank.map_err(|_| "a rank panicked")??;
        // Every rank waited for all: one of them speaks for them.
        if number == 0 {
            table.add(Task::Save, "dcp", save);
            table.add(Task::Load, "dcp", load);
            table.add(Task::Reshard, "dcp", reshard);
        }
    }
    Ok(())
}

/// This rank's buffers, with their pages present.
fn buffers(spec: &TensorSpec, shape: &Shape, rank: &ThreadRank) -> Vec<Array2<f32>> {
    let extents = spec.local_shape(rank.rank() as u32).unwrap_or_default();
    let fill = |number| Array2::from_elem((extents[0] as usize, extents[1] as usize), number as f32 + 1.0);
    (0..shape.tensors).map(fill).collect()
}

fn load(
    rank: &ThreadRank,
    spec: &TensorSpec,
    names: &[String],
    local: &mut [Array2<f32>],
    place: &Path,
) -> Result<(), dcp::Error> {
    let target: StateTarget<'_> = names
        .iter()
        .zip(local)
        .map(|(name, array)| {
            (name.as_str(), TargetTensor::new(spec.clone(), ViewMut::from_array(array.view_mut().into_dyn())))
        })
        .collect();
    Loader::new().group(rank).load_into(target, place).map(drop)
}

/// From when all ranks are ready until all are done.
fn timed(barrier: &Barrier, work: impl FnOnce() -> Result<(), dcp::Error>) -> Result<Duration, dcp::Error> {
    barrier.wait();
    let start = Instant::now();
    let outcome = work();
    barrier.wait();
    outcome.map(|()| start.elapsed())
}
