//! How much is under way at once, over a handle and its clones.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Traffic;
use crate::upload::blocks::{Blocks, Shared};

/// What there is room for.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    parts: Arc<Semaphore>,
    /// All of what [`room_for`](Self::room_for) gives out.
    units: u32,
    reads: Arc<Semaphore>,
    blocks: Arc<Shared>,
}

/// Room that is taken, until it is dropped. (There would be none to take only if somebody closed the budget, which nobody does.)
pub(crate) type Taken = Option<OwnedSemaphorePermit>;

impl Budget {
    pub(crate) fn of(traffic: &Traffic) -> Self {
        let units = units(traffic.part_size.saturating_mul(traffic.parts_in_flight as u64));
        Self {
            parts: Arc::new(Semaphore::new(units as usize)),
            units,
            reads: Arc::new(Semaphore::new(traffic.reads_in_flight)),
            blocks: Arc::default(),
        }
    }

    /// Waits for room for a part on its way. One that is larger than all the room waits until it is alone.
    ///
    /// Who waits holds none, and what has room gets on without anybody else: nobody waits forever.
    pub(crate) async fn room_for(&self, bytes: u64) -> Taken {
        Arc::clone(&self.parts).acquire_many_owned(units(bytes).min(self.units)).await.ok()
    }

    /// The memory that uploads fill.
    pub(crate) fn blocks(&self) -> Arc<Blocks> {
        Blocks::of(&self.blocks)
    }

    /// Waits until another request for bytes may be made.
    pub(crate) async fn request(&self) -> Taken {
        Arc::clone(&self.reads).acquire_owned().await.ok()
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// In bytes: what is counted in.
const UNIT: u64 = 64 << 10;
