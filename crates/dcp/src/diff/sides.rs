//! The two checkpoints, as they are read.

use dcp_storage::{Io, Locator, StorageReader, Verify};
use dcp_types::{Dest, ReadItem, Value};

use super::report::Side;
use crate::{Checkpoint, Error};

/// Two checkpoints, and how their bytes are counted.
pub(super) struct Sides<'a> {
    checkpoints: [&'a Checkpoint; 2],
    count: &'a (dyn Fn(u64) + Send + Sync),
}

impl<'a> Sides<'a> {
    pub(super) fn new(checkpoints: [&'a Checkpoint; 2], count: &'a (dyn Fn(u64) + Send + Sync)) -> Self {
        Self { checkpoints, count }
    }

    pub(super) fn checkpoint(&self, side: Side) -> &'a Checkpoint {
        self.checkpoints[side as usize]
    }

    /// Where items lie.
    pub(super) fn locate(&self, side: Side, items: Vec<ReadItem>) -> Result<Vec<Locator>, Error> {
        let io = self.io(side);
        Ok(io.block_on(self.checkpoint(side).reader().locate(items, &io))?)
    }

    /// Reads items on this thread, and one more.
    pub(super) fn read(&self, side: Side, wanted: Vec<(ReadItem, Dest<'_>)>, verify: Verify) -> Result<(), Error> {
        let io = self.io(side).with_threads(1).with_verify(verify);
        io.block_on(self.checkpoint(side).reader().read_data(wanted, &io))?;
        Ok(())
    }

    /// The values of entries.
    pub(super) fn values(&self, side: Side, entries: &[usize]) -> Result<Vec<Value>, Error> {
        self.checkpoint(side).values_with(entries, &self.io(side))
    }

    /// Reads a tensor through for its checksums.
    pub(super) fn check(&self, side: Side, fqn: &str) -> Result<(), Error> {
        self.checkpoint(side).check_with(fqn, &self.io(side))?;
        Ok(())
    }

    fn io(&self, side: Side) -> Io<'a> {
        self.checkpoint(side).io().clone().with_progress(self.count)
    }
}
