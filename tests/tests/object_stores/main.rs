//! Checkpoints in object stores: over real servers, and over a network that fails.

mod proxy;
mod servers;
