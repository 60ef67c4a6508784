//! PyTorch's own checkpoints. Nothing of what a pickle says is ever looked up or run.

#![cfg_attr(not(test), allow(dead_code, reason = "the format that uses these parts is built on top of them"))]

mod metadata;
#[cfg(test)]
mod peak;
mod pickle;
