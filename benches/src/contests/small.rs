//! Many small tensors: what each of them costs.

use dcp::Verify;

use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{DCP, Shape, State, TORCH, ours};
use crate::report::{Comparison, Goal, Row, Unit};
use crate::turns::Turns;
use crate::used::Used;

pub(super) const RANKS: usize = 4;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let shape = shape(bench);
    let what = format!("{} tensors of 4 KiB on {RANKS} ranks, page cache", shape.tensors);
    let mut comparison = Comparison::new("small", what, Unit::Seconds, &[DCP, TORCH]);
    let state = State::new(shape, RANKS, 0)?;
    let (ours_files, torch_files) = (bench.place("dcp")?, bench.place("torch")?);
    let torch = bench.torch_ranks(RANKS, shape);
    for is_save in [true, false] {
        let mut turns = Turns::new(bench.repeat);
        turns.add(DCP, "", || {
            let seconds = if is_save {
                remove(&ours_files)?;
                ours::save(&state, &ours_files, false)?
            } else {
                ours::load(&state, &ours_files, Verify::Covered)?.0
            };
            Ok(Used::time(seconds))
        });
        if let Some(ranks) = &torch {
            turns.add_guest(TORCH, "", || {
                let mut ranks = ranks.borrow_mut();
                if is_save {
                    remove(&torch_files)?;
                    ranks.save(&torch_files, 1, false)
                } else {
                    ranks.load(&torch_files, 0)
                }
            });
        }
        let row = Row::new(if is_save { "save" } else { "load" }, turns.take()?.seconds());
        comparison.push(row, &[Goal::Times { of: DCP, than: TORCH, at_least: 50.0 }]);
    }
    remove(&ours_files)?;
    remove(&torch_files)?;
    Ok(vec![comparison])
}

pub(super) fn shape(bench: &Bench) -> Shape {
    Shape { tensors: bench.sizes.small, rows: 32, columns: 32 }
}
