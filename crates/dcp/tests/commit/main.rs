//! Nothing is torn: wherever a save fails, stops or meets others, a load gives one checkpoint, whole.

/// The format of the checkpoints.
mod kind {
    pub(crate) type Kind = dcp::NativeFormat;
    pub(crate) const INDEX: &str = "index.dcp";
}

mod alive;
mod cleaning;
mod crash;
mod faults;
mod meetings;
mod ranks;
mod stranger;
mod support;
mod turns;
mod zombies;
