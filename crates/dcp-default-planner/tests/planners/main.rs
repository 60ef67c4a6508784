//! The default planners, from what ranks declare to the last byte that they write and read.

mod balance;
mod conflicts;
mod loads;
mod merging;
mod round_trip;
mod scale;
mod support;
mod ties;
