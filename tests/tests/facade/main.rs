//! Tests of the whole system through its facade.

mod exact;
mod planners;
mod round_trip;
mod slices;
mod symbolic;
mod tiling;
