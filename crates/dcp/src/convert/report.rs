//! What a conversion does and did.

use std::time::Duration;

use dcp_storage::WriteReport;
use dcp_types::GlobalPlan;

use super::lightning::LightningForm;

/// How far a conversion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConvertProgress {
    /// Bytes of tensors that have been read for writing, or for checksums that could not be compared otherwise.
    pub done: u64,
    /// All bytes that are.
    pub total: u64,
}

/// What a conversion did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConvertReport {
    /// The format of the destination.
    pub format: &'static str,
    /// In which form of Lightning's, if one was asked for.
    pub form: Option<LightningForm>,
    /// How many tensors there are.
    pub tensors: u64,
    /// How many values there are.
    pub values: u64,
    /// The bytes of all tensors, as they are at the destination.
    pub bytes: u64,
    /// What was left out because the index of the source describes it in a way that cannot be right.
    pub left_out: u64,
    /// What was written; nothing in a dry run.
    pub written: WriteReport,
    /// What of that a conversion that was interrupted had written already.
    pub found: WriteReport,
    /// How long it took.
    pub elapsed: Duration,
}

impl ConvertReport {
    /// What a plan says of it.
    pub(super) fn of(plan: &GlobalPlan, format: &'static str, form: Option<LightningForm>, left_out: usize) -> Self {
        let (mut tensors, mut values, mut bytes) = (0, 0, 0u64);
        for (_, entry) in plan.metadata().entries() {
            match entry.as_tensor() {
                Some(tensor) => {
                    tensors += 1;
                    bytes = bytes.saturating_add(tensor.nbytes());
                }
                None => values += 1,
            }
        }
        let (written, found, elapsed) = (WriteReport::default(), WriteReport::default(), Duration::ZERO);
        Self { format, form, tensors, values, bytes, left_out: left_out as u64, written, found, elapsed }
    }
}
