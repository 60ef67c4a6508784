//! How planning grows with the number of ranks. (How loading does, `load` shows.)

use super::plan::{Job, dcpctl};
use crate::Fault;
use crate::bench::Bench;
use crate::contestants::Who;
use crate::report::{Comparison, Figure, Row, Unit, Verdict};

const MESH: Who = "mesh";
const EXPLICIT: Who = "explicit";

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let (ranks, tensors) = bench.sizes.scaling;
    let comparison = |name, what: &str, unit| {
        let what = format!("{what}, {tensors} tensors, by mesh and placements or with explicit regions");
        Comparison::new(name, what, unit, &[MESH, EXPLICIT]).over("ranks")
    };
    let mut times = comparison("scaling-time", "planning a save", Unit::Seconds);
    let mut sizes = comparison("scaling-index", "the size of the index", Unit::Megabytes);
    for &ranks in ranks {
        let planned = |is_explicit| Job { ranks, tensors, is_explicit }.plan(dcpctl(bench)?);
        let both = [(MESH, planned(false)?), (EXPLICIT, planned(true)?)];
        let row = |figures: [Figure; 2]| Row::new(format!("{ranks} ranks"), figures.to_vec()).at(f64::from(ranks));
        let planning = row(both.map(|(who, planned)| Figure::once(who, planned.save_seconds)));
        times.push(Row { verdicts: linear(&times, &planning).into_iter().collect(), ..planning }, &[]);
        sizes.push(row(both.map(|(who, planned)| Figure::once(who, planned.index_bytes as f64 / 1e6))), &[]);
    }
    Ok(vec![times, sizes])
}

/// Whether regions cost a rank no more than they did where it had fewer others.
fn linear(before: &Comparison, row: &Row) -> Option<Verdict> {
    let before = before.rows.last()?;
    let each = |row: &Row| Some(row.of(EXPLICIT)? / row.at?);
    Some(Verdict::at_most("explicit: time a rank, beside that of fewer ranks", each(row)? / each(before)?, 1.25))
}
