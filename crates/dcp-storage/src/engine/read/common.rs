//! Short runs of a payload, between which lies what other ranks of this process want.

use std::sync::Arc;

use dcp_types::ViewMut;

use super::reading::Reading;
use super::runs::FileRuns;
use super::sizes::Sizes;
use super::target::Delivery;
use super::verify::Extent;
use crate::commons::{Commons, Member, Place, Want};
use crate::{Io, ReadReport, StorageError, Store};

/// Runs, where they go, and the parts of the file in which they lie.
pub(super) struct Common<'a> {
    extent: Arc<Extent>,
    runs: FileRuns,
    view: ViewMut<'a>,
    wants: Vec<Want>,
}

impl<'a> Common<'a> {
    /// Says to the others what is wanted.
    pub(super) fn new(
        member: &Arc<Member>,
        extent: Arc<Extent>,
        runs: FileRuns,
        view: ViewMut<'a>,
        sizes: &Sizes,
    ) -> Self {
        let wants = parts(&extent, &runs, sizes.coalesce_gap).into_iter().map(|part| {
            let place = Place {
                file: extent.file.clone(),
                offset: extent.offset + part.number * size(&extent),
                block: extent.block(),
            };
            Want::new(member, place, extent.offset + part.from..extent.offset + part.to, part.alone)
        });
        Self { wants: wants.collect(), extent, runs, view }
    }

    /// Where its file is, and where in it this begins.
    pub(super) fn place(&self) -> Option<&Place> {
        self.wants.first().map(Want::place)
    }

    /// Takes what others have read, and reads what nobody has, for all; alone from where that does not go on.
    pub(super) async fn run(self, store: &dyn Store, sizes: &Sizes, io: &Io<'_>) -> Result<ReadReport, StorageError> {
        let Self { extent, runs, view, wants } = self;
        let mut reading = Reading::new(store, sizes, io, &extent, false);
        let mut delivery = match view.into_bytes() {
            Ok(bytes) => Delivery::Bytes(bytes),
            Err(view) => Delivery::View(view, 0),
        };
        let mut pieces = runs.pieces();
        for want in wants {
            let end = want.range().end - extent.offset;
            let Some(lent) = reading.in_common(want).await? else { break };
            while let Some((from, to)) = pieces.before(end) {
                let bytes = lent.bytes(extent.offset + from..extent.offset + to);
                delivery.deliver(bytes).map_err(|fault| reading.refused(fault))?;
            }
        }
        reading.buffered(pieces, delivery).await?;
        reading.finish()
    }
}

/// Whether runs are worth looking for others who want what lies between them. Where something is to be done to elements, they had better not be cut.
pub(super) fn is_worth_it(extent: &Extent, runs: &FileRuns, sizes: &Sizes) -> bool {
    runs.count() > 1 && sizes.are_read_as_one(runs) && extent.steps.is_empty() && size(extent) > 0
}

/// The size of the parts of an extent: whole checksum blocks; 0 if they are too large.
fn size(extent: &Extent) -> u64 {
    Commons::PART / extent.block() * extent.block()
}

/// What is wanted of a part, in bytes from the start of the extent.
struct Wanted {
    number: u64,
    from: u64,
    to: u64,
    /// How many bytes would be read for it alone.
    alone: u64,
}

/// The parts in which runs lie, in order.
fn parts(extent: &Extent, runs: &FileRuns, gap: u64) -> Vec<Wanted> {
    let (size, mut pieces) = (size(extent), runs.clone().pieces());
    let mut parts: Vec<Wanted> = Vec::new();
    while let Some(start) = pieces.start() {
        let number = start / size;
        let Some((from, to)) = pieces.before((number + 1) * size).map(|piece| extent.cover(piece)) else { break };
        match parts.last_mut() {
            Some(part) if part.number == number => {
                let begin = if from <= part.to + gap { part.to } else { from };
                part.alone += to.saturating_sub(begin);
                part.to = part.to.max(to);
            }
            _ => parts.push(Wanted { number, from, to, alone: to - from }),
        }
    }
    parts
}
