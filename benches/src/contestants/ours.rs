//! This system, on thread ranks.

use std::path::Path;
use std::sync::Barrier;

use dcp::{Collective as _, LoadReport, Loader, Saver, ThreadGroup, ThreadRank, Verify};
use ndarray::Array2;

use super::State;
use crate::Fault;
use crate::threads::timed;

/// Saves; returns the seconds.
pub(crate) fn save(state: &State, to: &Path, fsync: bool) -> Result<f64, Fault> {
    Ok(save_to_all(state, &[to], fsync)?.remove(0))
}

/// Saves to one place after the other with the same savers; returns the seconds of each.
pub(crate) fn save_to_all(state: &State, places: &[impl AsRef<Path> + Sync], fsync: bool) -> Result<Vec<f64>, Fault> {
    on_ranks(state, |rank, barrier, tensors| {
        let dict = state.dict(tensors);
        let saver = Saver::new().group(rank).fsync(fsync);
        let save = |to: &_| {
            let (seconds, saved) = timed(barrier, || saver.save_dict(&dict, AsRef::<Path>::as_ref(to)));
            saved.map(|_| seconds)
        };
        places.iter().map(save).collect()
    })
}

/// Loads what has been saved; returns the seconds, and what was read.
pub(crate) fn load(state: &State, from: &Path, verify: Verify) -> Result<(f64, LoadReport), Fault> {
    state.clear()?;
    let loaded = on_ranks(state, |rank, barrier, tensors| {
        let target = state.target(tensors);
        let loader = Loader::new().group(rank).verify(verify);
        let (seconds, loaded) = timed(barrier, || loader.load_into(target, from));
        Ok((seconds, loaded?.1))
    })?;
    state.check(from)?;
    Ok(loaded)
}

/// Does it on all ranks; returns what the first one does. Every rank waits for all: one of them speaks for them.
fn on_ranks<T: Send>(
    state: &State,
    work: impl Fn(&ThreadRank, &Barrier, &mut [Array2<f32>]) -> Result<T, dcp::Error> + Sync,
) -> Result<T, Fault> {
    let barrier = Barrier::new(state.ranks());
    let done =
        ThreadGroup::run(state.ranks(), |rank| state.with(rank.rank(), |tensors| work(&rank, &barrier, tensors)));
    let mut first = None;
    for rank in done {
        let rank = rank.map_err(|_| "a rank panicked")??;
        first.get_or_insert(rank);
    }
    first.ok_or_else(|| "there are no ranks".into())
}
