//! Conversions that go wrong, and what they leave.

mod choices;
mod damage;
mod faults;
mod resharded;
mod stops;
mod support;
