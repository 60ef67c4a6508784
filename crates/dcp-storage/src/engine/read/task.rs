//! One piece of reading.

use std::sync::Arc;

use super::gather::Gathered;
use super::reading::Reading;
use super::runs::FileRuns;
use super::sizes::Sizes;
use super::stage::Staged;
use super::straight::Straight;
use super::stream::Decoding;
use super::target::Target;
use super::together::Together;
use super::verify::Extent;
use crate::{Io, ReadReport, StorageError, Store};

/// What one task does.
pub(super) enum Task<'a> {
    /// Contiguous bytes go straight into contiguous memory.
    Straight(Straight<'a>),
    /// Runs of an extent go where they belong.
    Runs { extent: Arc<Extent>, runs: FileRuns, target: Target<'a> },
    /// Runs of an extent go where they belong, out of what ranks of this process read together.
    Together(Together<'a>),
    /// A sink is fed from slabs, since its chunk does not lie row-major.
    Staged { extent: Arc<Extent>, staged: Staged<'a> },
    /// Elements that share bytes are picked from spans.
    Gathered { extent: Arc<Extent>, gathered: Gathered<'a> },
    /// A stream is decoded.
    Decoding(Decoding<'a>),
}

impl Task<'_> {
    /// Whether a sink takes what is read. (A stream may have any destinations.)
    pub(super) fn feeds_sink(&self) -> bool {
        match self {
            Self::Runs { target, .. } | Self::Gathered { gathered: Gathered { target, .. }, .. } => {
                matches!(target, Target::Sink(_))
            }
            Self::Straight(_) | Self::Together(_) => false,
            Self::Staged { .. } | Self::Decoding(_) => true,
        }
    }

    /// Does it; returns what it has cost.
    pub(super) async fn run(self, store: &dyn Store, sizes: &Sizes, io: &Io<'_>) -> Result<ReadReport, StorageError> {
        match self {
            Self::Straight(straight) => straight.run(store, io).await,
            Self::Runs { extent, runs, target } => {
                let mut reading = Reading::new(store, sizes, io, &extent, runs.count() == 1);
                reading.fill(runs, target).await?;
                reading.finish()
            }
            Self::Together(together) => together.run(store, sizes, io).await,
            Self::Staged { extent, staged } => {
                let mut reading = Reading::new(store, sizes, io, &extent, false);
                staged.run(&mut reading).await?;
                reading.finish()
            }
            Self::Gathered { extent, gathered } => {
                let mut reading = Reading::new(store, sizes, io, &extent, false);
                gathered.run(&mut reading, &extent).await?;
                reading.finish()
            }
            Self::Decoding(decoding) => decoding.run(store, sizes, io).await,
        }
    }
}
