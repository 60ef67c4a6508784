//! Cases of formats.

use std::sync::Arc;

use bytes::Bytes;
use dcp_planner::Declared;
use dcp_storage::{Format, Need, OpenedCheckpoint, Reply, Segment, Step, StorageError, Strictness};
use dcp_types::{GlobalPlan, Rank};

use crate::Failure;
use crate::counted::counted;
use crate::planning::plan;
use crate::written::written;

/// The files of one rank.
pub(crate) fn lay_out(format: &dyn Format, declared: &[Declared]) -> Result<usize, Failure> {
    let (plan, rank) = (plan(declared)?, declared.len() as Rank / 2);
    let plan = plan.of_rank(rank);
    let files = counted(&|| format.lay_out(&plan, 0))?;
    let is_item = |segment: &&Segment| matches!(segment, Segment::Item { .. });
    Ok(files.iter().flat_map(|file| &file.segments).filter(is_item).count())
}

/// The index, from what all ranks have written.
pub(crate) fn encode(format: &dyn Format, declared: &[Declared]) -> Result<usize, Failure> {
    let plan = plan(declared)?;
    let summaries = summaries(format, &plan, declared)?;
    let index = counted(&|| format.encode_index(&plan, &summaries, 0))?;
    Ok(opened(format, &index)?.metadata().len())
}

/// The metadata, from the index.
pub(crate) fn open(format: &dyn Format, declared: &[Declared]) -> Result<usize, Failure> {
    let plan = plan(declared)?;
    let index = format.encode_index(&plan, &summaries(format, &plan, declared)?, 0)?;
    Ok(counted(&|| opened(format, &index))?.metadata().len())
}

fn summaries(
    format: &dyn Format,
    plan: &GlobalPlan,
    declared: &[Declared],
) -> Result<Vec<(Rank, Bytes)>, StorageError> {
    let summary = |rank| {
        let files: Result<Vec<_>, _> = format.lay_out(&plan.of_rank(rank), 0)?.into_iter().map(written).collect();
        Ok((rank, format.summarise(&files?)?))
    };
    (0..declared.len() as Rank).map(summary).collect()
}

/// Opens a checkpoint of which nothing but the index is there.
fn opened(format: &dyn Format, index: &Bytes) -> Result<Arc<dyn OpenedCheckpoint>, Failure> {
    let mut machine = format.open(Strictness::Strict);
    let mut replies = Vec::new();
    loop {
        let needs = match machine.next(replies)? {
            Step::Done(opened) => return Ok(opened),
            Step::Needs(needs) => needs,
        };
        let reply = |need: &Need| match need {
            Need::Whole(path) if *path == format.index_path() => Ok(Reply::Bytes(index.clone())),
            Need::Presence(path) => Ok(Reply::Presence((*path == format.index_path()).then_some(index.len() as u64))),
            other => Err(format!("to open {} takes {other:?}, which is not there", format.name())),
        };
        replies = needs.iter().map(reply).collect::<Result<_, _>>()?;
    }
}
