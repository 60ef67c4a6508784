//! The save itself: what each rank of the plan would have done, done here by a few threads.

use std::sync::{Mutex, PoisonError};

use dcp_storage::{ComposedWriter, StorageError, WriteReport, WriteResult};
use dcp_types::{Digest, GlobalPlan, Rank, RankSet, WriteItem, WriteWhat};

use super::source::{Failed, Origin, RankSource};
use crate::Error;
use crate::report::total;

/// The ranks that have something to write; the first one if none has.
pub(super) fn busy(plan: &GlobalPlan, ranks: &RankSet) -> Vec<Rank> {
    let busy: Vec<Rank> = ranks.iter().filter(|&rank| !plan.items_of(rank).is_empty()).collect();
    if busy.is_empty() { ranks.first().into_iter().collect() } else { busy }
}

/// What was written, and what of that had been there already.
pub(super) struct Written {
    pub(super) all: WriteReport,
    pub(super) found: WriteReport,
}

/// Writes everything that is not there yet and commits it, or removes what was written.
pub(super) fn write(
    writer: &ComposedWriter,
    key: Option<Digest>,
    origin: &Origin<'_>,
    busy: &[Rank],
    jobs: usize,
) -> Result<Written, Error> {
    let io = origin.checkpoint.io().clone().with_threads(jobs);
    let plan = &origin.planned.plan;
    let mut save = io.block_on(writer.begin_resumable(key, &origin.planned.ranks))?;
    let found: Vec<_> = save.found().iter().map(|(&rank, result)| (rank, result.clone())).collect();
    (origin.advance)(found.iter().flat_map(|(rank, _)| plan.items_of(*rank)).map(|item| bytes(&item)).sum());
    let first = Mutex::new(None);
    let task = |rank: Rank| {
        let (io, save, first) = (io.clone().with_threads(1), &save, &first);
        async move {
            // An error of one has been enough; the others stop at their next read.
            if origin.go_on().is_err() {
                return Ok(None);
            }
            let own = plan.of_rank(rank);
            let source = RankSource::new(origin, own.items().to_vec());
            match save.write_data(&own, &source, &io).await {
                Ok(result) => Ok(Some((rank, result))),
                Err(error) => {
                    first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    origin.fail();
                    Ok(None)
                }
            }
        }
    };
    let missing = busy.iter().filter(|rank| !save.found().contains_key(rank));
    let written: Result<Vec<Option<(Rank, WriteResult)>>, StorageError> =
        io.run(missing.map(|&rank| task(rank)).collect(), 1);
    let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
    let committed = match (origin.is_cancelled(), first, written) {
        (true, ..) => Err(Error::Cancelled),
        (false, Some(error), _) => Err(explained(error)),
        (false, None, Err(error)) => Err(error.into()),
        (false, None, Ok(results)) => {
            let found_report = total(reports(&found));
            let mut results: Vec<_> = results.into_iter().flatten().chain(found).collect();
            results.sort_unstable_by_key(|(rank, _)| *rank);
            let committed = io.block_on(save.finish(plan, &results, &io));
            committed.map(|()| Written { all: total(reports(&results)), found: found_report }).map_err(Error::from)
        }
    };
    committed.inspect_err(|error| {
        let is_unknown =
            matches!(error, Error::Storage(error) if matches!(**error, StorageError::CommitUnknown { .. }));
        if !is_unknown {
            // What cannot be removed now, a later save removes.
            drop(io.block_on(save.abort()));
        }
    })
}

fn bytes(item: &WriteItem) -> u64 {
    if let WriteWhat::Chunk(_, bytes) = item.what { bytes } else { 0 }
}

fn reports(results: &[(Rank, WriteResult)]) -> impl Iterator<Item = WriteReport> {
    results.iter().map(|(_, result)| result.report)
}

/// What a writer says of a source that failed, as what the source said: a damaged source is not a matter of the destination.
fn explained(error: StorageError) -> Error {
    let cause = match error {
        StorageError::Source { source, path } => {
            source.downcast::<Failed>().map_err(|source| StorageError::Source { path, source })
        }
        StorageError::NoSource { source, fqn } => {
            source.downcast::<Failed>().map_err(|source| StorageError::NoSource { fqn, source })
        }
        other => Err(other),
    };
    let Failed { fqn, source } = match cause {
        Ok(failed) => *failed,
        Err(other) => return other.into(),
    };
    let source = match source.downcast::<StorageError>() {
        Ok(source) => return Error::Source { fqn, source },
        Err(source) => source,
    };
    match source.downcast::<Error>() {
        Ok(error) => match *error {
            Error::Storage(source) => Error::Source { fqn, source },
            other => other,
        },
        Err(source) => StorageError::NoSource { fqn, source }.into(),
    }
}
