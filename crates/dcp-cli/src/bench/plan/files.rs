//! What ranks would report of their files after writing them.

use bytes::Bytes;
use dcp::crates::dcp_storage::{FileLayout, Segment, WrittenFile, WrittenSegment};
use dcp::crates::dcp_types::{GlobalPlan, Rank, WriteWhat};
use dcp::{Error, Format, NativeFormat};

use super::phase;
use super::workers::{AT_A_TIME, for_each_rank};
use crate::bench::phases::Phases;
use crate::failure::Failure;

/// Each rank lays out its files, which is timed, and summarises them as if they had been written.
pub(super) fn summaries(
    format: &NativeFormat,
    plan: &GlobalPlan,
    ranks: Rank,
    phases: &mut Phases,
) -> Result<Vec<(Rank, Bytes)>, Failure> {
    let mut summaries = Vec::with_capacity(ranks as usize);
    for start in (0..ranks).step_by(AT_A_TIME as usize) {
        let ranks = (start..ranks.min(start + AT_A_TIME)).collect();
        let lay_out = |rank| Ok((rank, format.lay_out(&plan.of_rank(rank), 0).map_err(Error::from)?));
        let layouts = phases.time(phase::LAYOUTS, || for_each_rank(ranks, lay_out))?;
        summaries.append(&mut for_each_rank(layouts, |(rank, layouts)| {
            let files: Vec<_> = layouts.into_iter().map(written).collect();
            Ok((rank, format.summarise(&files).map_err(Error::from)?))
        })?);
    }
    Ok(summaries)
}

/// The length of each value of the model, encoded.
const VALUE: u64 = 9;

fn written(layout: FileLayout) -> WrittenFile {
    let (mut size, mut segments) = (0u64, Vec::new());
    for segment in layout.segments {
        match segment {
            Segment::Align(to) => size = size.next_multiple_of(to),
            Segment::Item { item, checksum_block, .. } => {
                let length = if let WriteWhat::Chunk(_, bytes) = item.what { bytes } else { VALUE };
                let checksums = vec![0; length.div_ceil(checksum_block) as usize];
                segments.push(WrittenSegment { offset: size, length, item: Some(item), checksums });
                size += length;
            }
            _ => {}
        }
    }
    // The footer has the checksums.
    size += 4 * segments.iter().map(|segment| segment.checksums.len() as u64).sum::<u64>();
    WrittenFile { path: layout.path, size, segments }
}
