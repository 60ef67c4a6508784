//! Tests of the whole system through its facade.

mod round_trip;
