//! What benchmarks share.

mod python;
mod used;

pub use python::{Python, printed};
pub use used::Used;

use std::time::Duration;

/// The median of some times, in seconds.
#[must_use]
pub fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).map_or(f64::NAN, Duration::as_secs_f64)
}
