//! The native checkpoint format: versions 1 and 3, and versions 2 and 4 for what went through transforms.
//!
//! A directory of `index.dcp` and data files `__{rank}_{number}.distcp`. The index names every tensor's mesh and placements once;
//! which rank has written a chunk, and where in its files, is computed by a layout rule (`layout`). `docs/format.md` specifies every byte.

mod footer;
mod format;
mod index;
mod lately;
mod layout;
mod opened;

pub use format::NativeFormat;
