//! Short runs of a payload, between which lies what other ranks of this process want.

use std::sync::Arc;

use dcp_types::ViewMut;

use super::reading::Reading;
use super::runs::FileRuns;
use super::sizes::Sizes;
use super::target::Delivery;
use super::verify::Extent;
use crate::commons::{Commons, Lent, Member, Pending, Place, Turn, Want};
use crate::{Io, ReadReport, StorageError, Store, StorePath};

/// How much one task reads, whatever the rank's share: all ranks go through the files in the same steps.
pub(super) const LONGEST: u64 = 4 * Commons::PART;

/// Runs, where they go, and the parts of the payload in which they lie.
pub(super) struct Together<'a> {
    extent: Arc<Extent>,
    runs: FileRuns,
    view: ViewMut<'a>,
    wants: Vec<Want>,
    pending: Pending,
}

/// Whether runs are read together with others: where they would be read with what lies between them, and reading is a copy, so that a store
/// need not have many reads under way. Where something is to be done to elements, they had better not be cut.
pub(super) fn takes(extent: &Extent, runs: &FileRuns, sizes: &Sizes) -> bool {
    let is_short = runs.count() > 1 && sizes.are_read_as_one(runs);
    is_short && sizes.in_flight == 1 && extent.steps.is_empty() && part_size(extent) > 0
}

/// The number of an extent among all that ranks of this process read. Found by looking at all its checksums: once for all its tasks.
pub(super) fn payload(member: &Member, extent: &Extent) -> u64 {
    member.payload(&extent.file, extent.offset, extent.length, extent.checks())
}

impl<'a> Together<'a> {
    /// Says to the others what is wanted of the [`payload`], which has this number.
    pub(super) fn new(
        member: &Arc<Member>,
        payload: u64,
        extent: Arc<Extent>,
        runs: FileRuns,
        view: ViewMut<'a>,
        sizes: &Sizes,
    ) -> Self {
        let wants = spans(&extent, &runs, sizes).into_iter().map(|Span { number, from, to, alone }| {
            Want::new(member, Place { payload, number }, extent.offset + from..extent.offset + to, alone)
        });
        Self { wants: wants.collect(), pending: member.task(), extent, runs, view }
    }

    /// The file, and where this begins in it.
    pub(super) fn place(&self) -> (&StorePath, Option<u64>) {
        (&self.extent.file, self.wants.first().map(|want| want.range().start))
    }

    /// Takes what others have read, reads what nobody has for all, and alone what nobody else wants.
    pub(super) async fn run(self, store: &dyn Store, sizes: &Sizes, io: &Io<'_>) -> Result<ReadReport, StorageError> {
        let Self { extent, runs, view, wants, pending: _pending } = self;
        let mut reading = Reading::new(store, sizes, io, &extent, false);
        let mut delivery = match view.into_bytes() {
            Ok(bytes) => Delivery::Bytes(bytes),
            Err(view) => Delivery::View(view, 0),
        };
        let mut pieces = runs.pieces();
        for want in wants {
            let end = want.range().end - extent.offset;
            match part(&mut reading, &extent, want, io).await? {
                Some(lent) => {
                    while let Some((from, to)) = pieces.before(end) {
                        let bytes = lent.bytes(extent.offset + from..extent.offset + to);
                        delivery.deliver(bytes).map_err(|fault| reading.refused(fault))?;
                    }
                }
                None => {
                    let alone = std::iter::from_fn(|| pieces.before(end));
                    reading.coalesced(alone, sizes.coalesce_gap, &mut delivery).await?;
                }
            }
        }
        reading.finish()
    }
}

/// Bytes of a part: as somebody has read them, or reads them for all. None if this rank had better read by itself.
async fn part(
    reading: &mut Reading<'_>,
    extent: &Extent,
    want: Want,
    io: &Io<'_>,
) -> Result<Option<Arc<Lent>>, StorageError> {
    let wanted = want.range();
    match want.turn().await {
        Turn::Alone => Ok(None),
        Turn::Take(lent) => {
            extent.add_unverified(lent.unverified());
            io.advance(wanted.end - wanted.start);
            Ok(Some(lent))
        }
        Turn::Read(mut errand) => {
            let (offset, memory) = errand.room();
            let (from, to) = (offset - extent.offset, offset - extent.offset + memory.len() as u64);
            let mut ranges: Vec<_> = extent.in_steps(offset, memory).collect();
            reading.fetch(&mut ranges).await?;
            reading.close()?;
            Ok(Some(errand.done(extent.unverified(from, to))))
        }
    }
}

/// The size of the parts of an extent: whole checksum blocks; 0 if they are too large.
fn part_size(extent: &Extent) -> u64 {
    Commons::PART / extent.block() * extent.block()
}

/// What is wanted of a part, in bytes from the start of the extent.
struct Span {
    number: u64,
    from: u64,
    to: u64,
    /// How many bytes would be read for it alone.
    alone: u64,
}

/// What runs want of the parts in which they lie, in order.
fn spans(extent: &Extent, runs: &FileRuns, sizes: &Sizes) -> Vec<Span> {
    let (size, capacity) = (part_size(extent), sizes.capacity(extent));
    let mut pieces = runs.clone().pieces();
    let mut spans: Vec<Span> = Vec::new();
    // How many bytes are in the buffer, if each part is read alone.
    let mut buffered = 0;
    while let Some(start) = pieces.start() {
        let number = start / size;
        let Some((from, to)) = pieces.before((number + 1) * size).map(|piece| extent.cover(piece)) else { break };
        match spans.last_mut() {
            Some(span) if span.number == number => {
                let is_near = from <= span.to.saturating_add(sizes.coalesce_gap);
                let more = to.saturating_sub(if is_near { span.to } else { from });
                // What does not fit begins the next buffer, without the gap before it.
                (buffered, span.alone) = if buffered + more > capacity {
                    (to - from, span.alone + to.saturating_sub(from.max(span.to)))
                } else {
                    (buffered + more, span.alone + more)
                };
                span.to = span.to.max(to);
            }
            _ => {
                buffered = to - from;
                spans.push(Span { number, from, to, alone: buffered });
            }
        }
    }
    spans
}
