//! Tests of the whole system through its facade.

mod choices;
mod exact;
mod failures;
mod files;
mod fits;
mod planners;
mod plug;
mod replanning;
mod reuse;
mod round_trip;
mod sent;
mod slices;
mod symbolic;
mod threads;
mod tiling;
mod transforms;
