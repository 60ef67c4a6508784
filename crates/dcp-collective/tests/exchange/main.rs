//! The promises of an exchange: values, errors on one that are errors on all, and nothing that hangs.
//!
//! No test sleeps or measures time. Ranks that stall are blocked on a channel until the others are done; ranks that
//! work for long are driven by their own keepalives.

mod concurrency;
mod failures;
mod hostile;
mod losses;
mod progress;
mod stalls;
mod support;
mod values;
