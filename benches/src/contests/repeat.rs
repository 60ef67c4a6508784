//! A structure that does not change is saved again by the same savers: its plan is there already.

use crate::Fault;
use crate::bench::{Bench, remove};
use crate::contestants::{Shape, State, Who, ours};
use crate::report::{Comparison, Figure, Row, Unit};

use super::small;

const FIRST: Who = "first";
const REPEATED: Who = "repeated";
/// How often the same savers save.
const TIMES: usize = 4;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Comparison>, Fault> {
    let what = "the same structure saved again by the same savers, page cache";
    let mut comparison = Comparison::new("repeat", what, Unit::Seconds, &[FIRST, REPEATED]);
    let (tensors, ranks) = bench.sizes.repeated;
    let many_ranks = Shape { tensors, rows: ranks, columns: 16 };
    for (shape, ranks) in [(small::shape(bench), small::RANKS), (many_ranks, ranks)] {
        let state = State::new(shape, ranks, 0)?;
        let (mut first, mut repeated) = (Vec::new(), Vec::new());
        for _ in 0..bench.repeat {
            let place = bench.place("repeat")?;
            let places: Vec<_> = (0..TIMES).map(|number| place.join(number.to_string())).collect();
            let mut times = ours::save_to_all(&state, &places, false)?.into_iter();
            first.extend(times.next());
            repeated.extend(times);
            remove(&place)?;
        }
        let figures = vec![Figure::new(FIRST, first), Figure::new(REPEATED, repeated)];
        comparison.push(Row::new(format!("{} tensors x {ranks} ranks", shape.tensors), figures), &[]);
    }
    Ok(vec![comparison])
}
