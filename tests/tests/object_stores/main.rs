//! Checkpoints in object stores: over a network that fails.

mod proxy;
