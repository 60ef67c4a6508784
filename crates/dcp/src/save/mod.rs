//! Saving.

mod declare;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dcp_collective::{Collective, CollectiveError, Exchange};
use dcp_default_planner::DefaultSavePlanner;
use dcp_planner::{PlanContext, PlanError, SavePlanner};
use dcp_stateful::Stateful;
use dcp_storage::{
    ComposedWriter, Format, Io, SaveToken, StorageError, StorageWriter, WriteReport, WriteResult, WriteSource,
};
use dcp_types::{Digest, FlatState, GlobalPlan, Rank, Source, StateDict, WriteItem, flatten_state};
use serde::{Deserialize, Serialize};

use self::declare::PlanKey;
use crate::group::{Group, Members};
use crate::{Error, Location, SaveReport, formats};

/// Saves state, with all the choices there are.
///
/// A saver that is kept plans just once for states of equal structure; values may change from save to save. (Where ranks have values
/// of their own, a changed value makes it plan anew, to be sure that ranks agree about those that they share.)
///
/// ```
/// use dcp::{MemoryStore, Saver, StateDict};
/// let store = MemoryStore::new();
/// let saver = Saver::new().overwrite(true);
/// for step in 0..3 {
///     let report = saver.save_dict(&StateDict::new().with("step", step), store.clone())?;
///     assert_eq!(report.total().files, 1);
/// }
/// # Ok::<(), dcp::Error>(())
/// ```
pub struct Saver<'a> {
    group: Group<'a>,
    planner: Box<dyn SavePlanner + 'a>,
    format: Option<Arc<dyn Format>>,
    overwrite: bool,
    fsync: bool,
    threads: Option<usize>,
    last: Mutex<Option<Arc<Kept>>>,
}

/// The plan of a save, kept for the next one.
struct Kept {
    /// Stands for what all ranks declared.
    key: PlanKey,
    /// As the planner made it; known to the coordinator alone.
    made: Option<GlobalPlan>,
    /// As the writer prepared it.
    plan: Arc<GlobalPlan>,
    /// Of that, so that ranks can tell whether they have the same.
    digest: Digest,
}

impl Default for Saver<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Saver<'a> {
    /// A single process that saves durably, in the native format, to a place where no checkpoint is yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            group: Group::alone(),
            planner: Box::new(DefaultSavePlanner::new()),
            format: None,
            overwrite: false,
            fsync: true,
            threads: None,
            last: Mutex::new(None),
        }
    }

    /// Saves together with the other ranks of a group. All of them must make the same calls.
    #[must_use]
    pub fn group(mut self, collective: &'a dyn Collective) -> Self {
        self.group.collective = Some(collective);
        self
    }

    /// Lets the rank at this position of the group coordinate (0 unless told).
    #[must_use]
    pub fn coordinator(mut self, position: usize) -> Self {
        self.group.coordinator = position;
        self
    }

    /// How long a rank may be without progress before it is an error on all (10 minutes unless told).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.group.patience = patience;
        self
    }

    /// Plans in another way.
    #[must_use]
    pub fn planner(mut self, planner: impl SavePlanner + 'a) -> Self {
        self.planner = Box::new(planner);
        // What another planner made is not this one's.
        self.last = Mutex::new(None);
        self
    }

    /// Writes another format, or the native one with other choices than [`NativeFormat::for_ranks`](crate::NativeFormat::for_ranks) has made.
    #[must_use]
    pub fn format(mut self, format: impl Format + 'static) -> Self {
        self.format = Some(Arc::new(format));
        self
    }

    /// Replaces a checkpoint that is already there (refused unless told).
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Whether a checkpoint on a file system is to survive a crash of the machine (it is, unless told).
    #[must_use]
    pub fn fsync(mut self, fsync: bool) -> Self {
        self.fsync = fsync;
        self
    }

    /// On how many threads a rank writes its files (one for each core, at most 8, unless told).
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Saves the state of an object.
    ///
    /// # Errors
    /// As [`save_to`](Self::save_to), and whatever the object reports.
    pub fn save<S: Stateful + ?Sized>(&self, state: &S, to: impl Into<Location>) -> Result<SaveReport, Error> {
        self.run(|| Ok((self.writer(to)?, state.state_dict()?)))
    }

    /// Saves a state dict.
    ///
    /// # Errors
    /// As [`save_to`](Self::save_to).
    pub fn save_dict(&self, state: &StateDict<'_>, to: impl Into<Location>) -> Result<SaveReport, Error> {
        self.run(|| Ok((self.writer(to)?, state.reborrow())))
    }

    /// Saves a state dict through any writer; [`overwrite`](Self::overwrite), [`fsync`](Self::fsync) and the choices of a format are
    /// the writer's own then.
    ///
    /// Returns when the checkpoint is there, whole and durable, on every rank, or on none.
    ///
    /// # Errors
    /// [`Error::Plan`] if ranks contradict each other or themselves (nothing has been written then), [`Error::Storage`],
    /// and [`Error::Collective`], which names the rank, for an error on another rank. What was there before is untouched.
    pub fn save_to(&self, writer: &dyn StorageWriter, state: &StateDict<'_>) -> Result<SaveReport, Error> {
        self.run(|| Ok((Writer::Lent(writer), state.reborrow())))
    }

    /// Whatever can fail is part of a step, so that all ranks learn of it.
    fn run<'s>(
        &self,
        prepare: impl FnOnce() -> Result<(Writer<'s>, StateDict<'s>), Error>,
    ) -> Result<SaveReport, Error> {
        let start = Instant::now();
        self.group.together(|exchange, members| {
            let ctx = &members.ctx;
            let mut ready = None;
            // Another thread may save with this saver meanwhile: what is kept now is what this save goes by.
            let kept = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let cached = kept.as_ref().map(|kept| (kept.key, kept.digest));
            let planned = declare::agree(exchange, members, cached, |_| {
                let (writer, state) = prepare()?;
                let (writer, flat, _) = ready.insert((writer, flatten_state(state)?, self.io()?));
                Ok(writer.get().prepare_local_plan(self.planner.local_plan(flat, ctx)?)?)
            });
            let (declared, reuse) = planned?;
            let Some((writer, flat, io)) = &ready else { unreachable!("every rank has taken the first step") };
            let saving = Saving { saver: self, writer: writer.get(), io, flat, ctx };
            let (token, plan) = saving.plan(exchange, declared, reuse.and_then(|key| Some((key, kept?))))?;
            let ranks = saving.write(exchange, members, &token, &plan)?;
            Ok(SaveReport { ranks, plan_reused: reuse.is_some(), elapsed: start.elapsed() })
        })
    }

    fn writer(&self, to: impl Into<Location>) -> Result<Writer<'static>, Error> {
        let format = match &self.format {
            Some(format) => Arc::clone(format),
            None => formats::default_format(self.group.size())?,
        };
        let store = to.into().store_for(&*format, self.fsync)?;
        Ok(Writer::Own(ComposedWriter::new(format, store).overwrite(self.overwrite)))
    }

    fn io(&self) -> Result<Io<'static>, Error> {
        let io = Io::new()?;
        Ok(self.threads.map_or(io.clone(), |threads| io.with_threads(threads)))
    }
}

/// What a save goes through.
enum Writer<'s> {
    Own(ComposedWriter),
    Lent(&'s dyn StorageWriter),
}

impl Writer<'_> {
    fn get(&self) -> &dyn StorageWriter {
        match self {
            Self::Own(writer) => writer,
            Self::Lent(writer) => *writer,
        }
    }
}

/// One save under way.
struct Saving<'s, 'f> {
    saver: &'s Saver<'s>,
    writer: &'s dyn StorageWriter,
    io: &'s Io<'static>,
    flat: &'s FlatState<'f>,
    ctx: &'s PlanContext,
}

/// A plan as it is sent. It says nothing of its ties, which go beside it.
type SentPlan = (GlobalPlan, BTreeMap<usize, usize>);

/// What the coordinator tells everybody after planning.
#[derive(Serialize, Deserialize)]
struct Announcement {
    token: SaveToken,
    /// Encoded: all go by the digest of these bytes, and none has to make them again. `None` if everybody has it from the last save.
    plan: Option<Bytes>,
    /// What the plan is kept under.
    key: PlanKey,
}

impl Saving<'_, '_> {
    /// Makes the global plan on the coordinator, starts the save there, and lets everybody know.
    fn plan(
        &self,
        exchange: &mut Exchange<'_>,
        declared: Option<declare::AllDeclared>,
        reuse: Option<(PlanKey, Arc<Kept>)>,
    ) -> Result<(SaveToken, Arc<GlobalPlan>), Error> {
        let mut started = None;
        let announced = exchange.broadcast("plan", |_| {
            let (made, key) = match (declared, &reuse) {
                (Some(declared), _) => (self.saver.planner.global_plan(&declared.groups, self.ctx)?, declared.key),
                (None, Some((key, kept))) => match &kept.made {
                    Some(made) => (made.clone(), *key),
                    None => unreachable!("the coordinator of the last save is that of this one"),
                },
                (None, None) => unreachable!("the coordinator has all declarations, or need not have them"),
            };
            // It may be another writer than that of the last save.
            let plan = self.writer.prepare_global_plan(made.clone())?;
            let known = reuse.as_ref().is_some_and(|(_, kept)| *kept.plan == plan);
            let encode =
                || rmp_serde::to_vec(&(&plan, plan.ties())).map_err(|fault| PlanError::custom(fault.to_string()));
            let sent = if known { None } else { Some(encode()?.into()) };
            let token = self.io.block_on(self.writer.begin(&self.ctx.ranks))?;
            started = Some((token.clone(), made, plan));
            Ok::<_, Error>(Announcement { token, plan: sent, key })
        });
        let Announcement { token, plan, key } = announced.map_err(|error| {
            let error = Error::from(error);
            if let Some((token, ..)) = &started {
                // Some ranks may have been told to write.
                self.abort(token, &error, false);
            }
            error
        })?;
        let (made, prepared) = started.map(|(_, made, plan)| (made, plan)).unzip();
        let (plan, digest) = match (plan, prepared, reuse) {
            (Some(sent), Some(plan), _) => (Arc::new(plan), Digest::of(&sent)),
            (Some(sent), None, _) => {
                let (plan, ties): SentPlan =
                    rmp_serde::from_slice(&sent).map_err(|fault| PlanError::custom(fault.to_string()))?;
                (Arc::new(plan.with_ties(ties)?), Digest::of(&sent))
            }
            (None, _, Some((_, kept))) => (Arc::clone(&kept.plan), kept.digest),
            (None, _, None) => unreachable!("every rank has said that it has this plan"),
        };
        let kept = Kept { key, made, plan: Arc::clone(&plan), digest };
        *self.saver.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(kept));
        Ok((token, plan))
    }

    /// Writes on every rank; commits on the coordinator.
    fn write(
        &self,
        exchange: &mut Exchange<'_>,
        members: &Members,
        token: &SaveToken,
        plan: &GlobalPlan,
    ) -> Result<Vec<(Rank, WriteReport)>, Error> {
        let local = |progress: &dcp_collective::Progress| {
            self.saver.planner.finish_plan(plan, self.ctx)?;
            let source = Resolver { planner: &*self.saver.planner, plan, flat: self.flat, ctx: self.ctx };
            let advance = |bytes| progress.advance(bytes);
            let io = self.io.clone().with_progress(&advance);
            Ok(io.block_on(self.writer.write_data(token, plan, self.ctx.rank, &source, &io))?)
        };
        let mut all_wrote = false;
        let commit = |results: Vec<WriteResult>, progress: &dcp_collective::Progress| {
            all_wrote = true;
            let results: Vec<_> = members.labels.iter().copied().zip(results).collect();
            let advance = |bytes| progress.advance(bytes);
            let io = self.io.clone().with_progress(&advance);
            io.block_on(self.writer.finish(token, plan, &results, &io))?;
            Ok::<_, Error>(results.into_iter().map(|(rank, result)| (rank, result.report)).collect())
        };
        exchange.all_reduce("write", local, commit).map_err(|error| {
            let error = Error::from(error);
            let stopped = all_wrote || members.labels.len() == 1 || ended_everywhere(&error);
            self.abort(token, &error, stopped);
            error
        })
    }

    /// Removes what a failed save has written. What cannot be removed now, a later save removes.
    fn abort(&self, token: &SaveToken, error: &Error, ranks_stopped: bool) {
        let unknown = matches!(error, Error::Storage(error) if matches!(**error, StorageError::CommitUnknown { .. }));
        if self.ctx.rank == self.ctx.coordinator && !unknown {
            drop(self.io.block_on(self.writer.abort(token, ranks_stopped)));
        }
    }
}

/// Whether an error of a step says that the step has ended on every rank, even if it failed there.
fn ended_everywhere(error: &Error) -> bool {
    // A rank whose own part failed has ended it, and the others were waited for; unless some were lost.
    const LOST: [&str; 6] = ["silent", "gone", "timed-out", "malformed", "diverged", "transport"];
    match error {
        Error::Collective(CollectiveError::Failed { failures, .. }) => {
            !failures.iter().any(|failure| LOST.contains(&failure.kind.as_str()))
        }
        // What became of the others is not told beside an error of one's own.
        _ => false,
    }
}

/// A planner and a state as the source of a writer.
struct Resolver<'s, 'f> {
    planner: &'s dyn SavePlanner,
    plan: &'s GlobalPlan,
    flat: &'s FlatState<'f>,
    ctx: &'s PlanContext,
}

impl WriteSource for Resolver<'_, '_> {
    fn source(&self, item: &WriteItem) -> Result<Source<'_>, StorageError> {
        self.planner.resolve(item, self.plan, self.flat, self.ctx).map_err(|error| {
            let fqn = self.plan.metadata().entry(item.entry).map_or("?".into(), |(fqn, _)| fqn.clone());
            StorageError::NoSource { fqn, source: Box::new(error) }
        })
    }
}
