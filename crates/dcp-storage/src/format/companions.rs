//! Formats that have small objects beside their index.

use std::collections::BTreeSet;

use bytes::Bytes;
use dcp_types::{GlobalPlan, Outline, Rank};

use crate::{Generation, StorageError, StorePath};

/// Small objects beside the index, under names that are the same for every save: an index for each rank, a file of values.
///
/// They are written before the index is published, and are never replaced: where one is, a checkpoint of this form is not
/// overwritten.
pub trait Companions: Send + Sync {
    /// The values that are not written with the ranks' files, but go into companions, by the numbers of their entries.
    fn collected(&self, outline: &Outline) -> BTreeSet<usize>;

    /// The companions, from the plan, every rank's summary, and the collected values as
    /// [`encode_value`](crate::Format::encode_value) has made them, ascending.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] for what the format cannot express.
    fn encode(
        &self,
        plan: &GlobalPlan,
        summaries: &[(Rank, Bytes)],
        values: &[(usize, Bytes)],
        generation: Generation,
    ) -> Result<Vec<(StorePath, Bytes)>, StorageError>;
}
