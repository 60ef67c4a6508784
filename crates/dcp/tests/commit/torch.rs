//! The same with checkpoints of PyTorch's format.

/// The format of the checkpoints.
mod kind {
    pub(crate) type Kind = dcp::DcpFormat;
    pub(crate) const INDEX: &str = ".metadata";
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
