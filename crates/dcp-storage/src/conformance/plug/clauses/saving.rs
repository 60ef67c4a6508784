//! A checkpoint is there when `finish` has returned: whole, and not before.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dcp_types::{Source, WriteItem};

use crate::conformance::block_on;
use crate::conformance::check::{Checked, Must, equal};
use crate::conformance::plug::Plug;
use crate::conformance::plug::sample::{Fault, RANKS, Sample, Saving, holds, lacks, save};
use crate::{StorageError, WriteReport, WriteSource};

pub(super) async fn nothing_is_there_before_finish(plug: &dyn Plug) -> Checked {
    lacks(plug).await?;
    let mut saving = Saving::begin(plug, Sample::new(1), false).await.must("begin")?;
    lacks(plug).await?;
    for rank in RANKS {
        saving.write(rank).await.must(&format!("write_data of rank {rank}"))?;
        lacks(plug).await?;
    }
    saving.finish().await.must("finish")?;
    holds(plug, 1).await
}

pub(super) async fn old_one_is_there_before_finish(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), false).await?;
    let mut saving = Saving::begin(plug, Sample::new(2), true).await.must("begin")?;
    holds(plug, 1).await?;
    for rank in RANKS {
        saving.write(rank).await.must(&format!("write_data of rank {rank}"))?;
        holds(plug, 1).await?;
    }
    saving.finish().await.must("finish")?;
    holds(plug, 2).await
}

pub(super) async fn finished_one_is_whole(plug: &dyn Plug) -> Checked {
    save(plug, Sample::new(1), false).await?;
    holds(plug, 1).await
}

pub(super) async fn values_come_back(plug: &dyn Plug) -> Checked {
    save(plug, Sample::with_values(1), false).await?;
    holds(plug, 1).await
}

pub(super) async fn finished_one_replaces_the_old(plug: &dyn Plug) -> Checked {
    for seed in 1..4 {
        save(plug, Sample::new(seed), true).await?;
        holds(plug, seed).await?;
    }
    Ok(())
}

pub(super) async fn ranks_write_at_the_same_time(plug: &dyn Plug) -> Checked {
    let mut saving = Saving::begin(plug, Sample::new(1), false).await.must("begin")?;
    let meeting = Meeting { here: Mutex::new(Vec::new()), all: Condvar::new() };
    let results: Vec<_> = thread::scope(|scope| {
        let (saving, meeting) = (&saving, &meeting);
        let threads = RANKS.map(|rank| {
            scope.spawn(move || {
                let source = Together { rank, sample: saving.sample(), meeting };
                let written = block_on(saving.written(rank, &source));
                if written.is_err() {
                    // The others need not wait for it.
                    meeting.come(&RANKS);
                }
                written.must(&format!("write_data of rank {rank} beside others")).map(|result| (rank, result))
            })
        });
        threads.into_iter().map(|thread| thread.join().expect("a rank panicked")).collect::<Checked<_>>()
    })?;
    saving.take(results);
    saving.finish().await.must("finish")?;
    holds(plug, 1).await
}

pub(super) async fn report_counts_what_was_written(plug: &dyn Plug) -> Checked {
    let sample = Sample::new(1);
    let bytes = sample.nbytes();
    let mut saving = Saving::begin(plug, sample, false).await.must("begin")?;
    saving.write_all().await.must("write_data")?;
    let mut total = WriteReport::default();
    saving.results().iter().for_each(|(_, result)| total += result.report);
    equal("bytes of tensors in the reports of all ranks", total.data, bytes)?;
    if total.written < total.data {
        return Err(format!("fewer bytes are reported as written than there are of tensors: {total:?}"));
    }
    Ok(())
}

pub(super) async fn failing_source_fails(plug: &dyn Plug) -> Checked {
    let mut saving = Saving::begin(plug, Sample::faulty(1, Fault::Fails), false).await.must("begin")?;
    match saving.write(1).await {
        Err(StorageError::NoSource { .. }) => {}
        other => return Err(format!("write_data should pass on the error of a source, but gave {other:?}")),
    }
    saving.abort(true).await.must("abort")?;
    lacks(plug).await
}

pub(super) async fn short_source_fails(plug: &dyn Plug) -> Checked {
    let mut saving = Saving::begin(plug, Sample::faulty(1, Fault::IsShort), false).await.must("begin")?;
    if saving.write(1).await.is_ok() {
        return Err("write_data took a source that has fewer bytes than planned".to_owned());
    }
    saving.abort(true).await.must("abort")?;
    lacks(plug).await
}

/// A source that gives nothing before all ranks have asked.
struct Together<'a> {
    rank: u32,
    sample: &'a Sample,
    meeting: &'a Meeting,
}

struct Meeting {
    here: Mutex<Vec<u32>>,
    all: Condvar,
}

impl Meeting {
    fn come(&self, ranks: &[u32]) {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).extend(ranks);
        self.all.notify_all();
    }
}

impl WriteSource for Together<'_> {
    fn source(&self, item: &WriteItem) -> Result<Source<'_>, StorageError> {
        self.meeting.come(&[self.rank]);
        let Meeting { here, all } = self.meeting;
        let ranks = here.lock().unwrap_or_else(PoisonError::into_inner);
        // A writer that lets ranks wait for each other is noticed, not waited for.
        let some_are_missing = |ranks: &mut Vec<u32>| !RANKS.iter().all(|rank| ranks.contains(rank));
        let (ranks, waited) = all
            .wait_timeout_while(ranks, Duration::from_secs(30), some_are_missing)
            .unwrap_or_else(PoisonError::into_inner);
        drop(ranks);
        if waited.timed_out() {
            let source = "the other ranks do not write at the same time".into();
            return Err(StorageError::NoSource { fqn: "?".into(), source });
        }
        self.sample.source(item)
    }
}
