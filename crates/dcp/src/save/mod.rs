//! Saving.

mod declare;
mod sent;

use std::cell::OnceCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dcp_collective::{Collective, CollectiveError, Exchange, Progress};
use dcp_default_planner::DefaultSavePlanner;
use dcp_planner::{PlanContext, SavePlanner};
use dcp_stateful::Stateful;
use dcp_storage::{
    ComposedWriter, Format, Io, SaveToken, StorageError, StorageWriter, WriteReport, WriteResult, WriteSource,
};
use dcp_types::{Digest, FlatState, GlobalPlan, Rank, RankPlan, Source, StateDict, WriteItem, flatten_state};
use serde::{Deserialize, Serialize};

use self::declare::PlanKey;
use self::sent::Parcels;
use crate::group::{Group, Members};
use crate::report::total;
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
    /// Known to the coordinator alone.
    whole: Option<Whole>,
    /// What this rank writes.
    own: Arc<RankPlan>,
    /// Of the whole plan, so that ranks can tell whether theirs are parts of the same.
    digest: Digest,
}

/// A plan for all ranks.
#[derive(Clone)]
struct Whole {
    /// As the planner made it.
    made: GlobalPlan,
    /// As the writer prepared it.
    prepared: GlobalPlan,
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
            let (token, told) = saving.plan(exchange, members, declared, reuse.and_then(|key| Some((key, kept?))))?;
            let Written { own, ranks, total } = saving.write(exchange, members, &token, told)?;
            Ok(SaveReport { own, ranks, total, plan_reused: reuse.is_some(), elapsed: start.elapsed() })
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

/// What the coordinator tells everybody after planning.
#[derive(Serialize, Deserialize)]
struct Announcement {
    token: SaveToken,
    /// What the plan is kept under.
    key: PlanKey,
    /// `None` if everybody has the plan from the last save.
    plan: Option<NewPlan>,
}

#[derive(Serialize, Deserialize)]
struct NewPlan {
    digest: Digest,
    /// Encoded: the same for all ranks, and encoded once.
    common: Bytes,
    /// Whether every rank gets chunks of its own in the next step.
    lists_chunks: bool,
}

/// What a rank was told of the plan.
struct Told {
    key: PlanKey,
    /// On the coordinator.
    whole: Option<Whole>,
    plan: ToldPlan,
}

enum ToldPlan {
    Kept(Arc<Kept>),
    New { digest: Digest, common: Bytes, chunks: Option<Bytes> },
}

/// What was written by this rank, by each (on the coordinator), and by all.
struct Written {
    own: WriteReport,
    ranks: Vec<(Rank, WriteReport)>,
    total: WriteReport,
}

impl Saving<'_, '_> {
    /// Makes the global plan on the coordinator, starts the save there, and lets everybody know.
    fn plan(
        &self,
        exchange: &mut Exchange<'_>,
        members: &Members,
        declared: Option<declare::AllDeclared>,
        reuse: Option<(PlanKey, Arc<Kept>)>,
    ) -> Result<(SaveToken, Told), Error> {
        let mut started = None;
        let told = self.announce(exchange, members, declared, reuse, &mut started);
        told.inspect_err(|error| {
            if let Some(token) = &started {
                // Some ranks may have been told to write.
                self.abort(token, error, false);
            }
        })
    }

    fn announce(
        &self,
        exchange: &mut Exchange<'_>,
        members: &Members,
        declared: Option<declare::AllDeclared>,
        reuse: Option<(PlanKey, Arc<Kept>)>,
        started: &mut Option<SaveToken>,
    ) -> Result<(SaveToken, Told), Error> {
        let (mut whole, mut all_chunks) = (None, None);
        let announced = exchange.broadcast("plan", |_| {
            let (made, key) = match (declared, &reuse) {
                (Some(declared), _) => {
                    let (key, groups) = (declared.key, declared.groups(self.ctx.coordinator)?);
                    (self.saver.planner.global_plan(&groups, self.ctx)?, key)
                }
                (None, Some((key, kept))) => match &kept.whole {
                    Some(whole) => (whole.made.clone(), *key),
                    None => unreachable!("the coordinator of the last save is that of this one"),
                },
                (None, None) => unreachable!("the coordinator has all declarations, or need not have them"),
            };
            // It may be another writer than that of the last save.
            let prepared = self.writer.prepare_global_plan(made.clone())?;
            let is_known = |kept: &Kept| kept.whole.as_ref().is_some_and(|whole| whole.prepared == prepared);
            let plan = if reuse.as_ref().is_some_and(|(_, kept)| is_known(kept)) {
                None
            } else {
                let parcels = Parcels::of(&prepared, &members.labels)?;
                let (digest, lists_chunks) = (parcels.digest()?, parcels.chunks.is_some());
                all_chunks = parcels.chunks;
                Some(NewPlan { digest, common: parcels.common, lists_chunks })
            };
            let token = started.insert(self.io.block_on(self.writer.begin(&self.ctx.ranks))?).clone();
            whole = Some(Whole { made, prepared });
            Ok::<_, Error>(Announcement { token, key, plan })
        })?;
        let plan = match (announced.plan, reuse) {
            (Some(NewPlan { digest, common, lists_chunks }), _) => {
                let own = |_: &Progress| Ok::<_, Error>(all_chunks.take().unwrap_or_default());
                let chunks = if lists_chunks { Some(exchange.scatter("chunks", own)?) } else { None };
                ToldPlan::New { digest, common, chunks }
            }
            (None, Some((_, kept))) => ToldPlan::Kept(kept),
            (None, None) => unreachable!("every rank has said that it has this plan"),
        };
        Ok((announced.token, Told { key: announced.key, whole, plan }))
    }

    /// Writes on every rank; commits on the coordinator.
    fn write(
        &self,
        exchange: &mut Exchange<'_>,
        members: &Members,
        token: &SaveToken,
        told: Told,
    ) -> Result<Written, Error> {
        let kept = OnceCell::new();
        let (mut own_report, mut ranks) = (WriteReport::default(), Vec::new());
        let local = |progress: &Progress| {
            let told = self.keep(told)?;
            let own = &kept.get_or_init(|| told).own;
            self.saver.planner.finish_plan(own, self.ctx)?;
            let source = Resolver { planner: &*self.saver.planner, plan: own, flat: self.flat, ctx: self.ctx };
            let advance = |bytes| progress.advance(bytes);
            let io = self.io.clone().with_progress(&advance);
            let written = io.block_on(self.writer.write_data(token, own, &source, &io))?;
            own_report = written.report;
            Ok(written)
        };
        let mut all_wrote = false;
        let commit = |results: Vec<WriteResult>, progress: &Progress| {
            all_wrote = true;
            let Some(whole) = kept.get().and_then(|kept| kept.whole.as_ref()) else {
                unreachable!("the coordinator has made the plan")
            };
            let results: Vec<_> = members.labels.iter().copied().zip(results).collect();
            let advance = |bytes| progress.advance(bytes);
            let io = self.io.clone().with_progress(&advance);
            io.block_on(self.writer.finish(token, &whole.prepared, &results, &io))?;
            ranks = results.into_iter().map(|(rank, result)| (rank, result.report)).collect();
            Ok::<_, Error>(total(ranks.iter().map(|(_, report)| *report)))
        };
        let written = exchange.all_reduce("write", local, commit).map_err(|error| {
            let error = Error::from(error);
            let stopped = all_wrote || members.labels.len() == 1 || ended_everywhere(&error);
            self.abort(token, &error, stopped);
            error
        });
        Ok(Written { total: written?, own: own_report, ranks })
    }

    /// Understands what this rank was told, and keeps it for the next save.
    fn keep(&self, Told { key, whole, plan }: Told) -> Result<Arc<Kept>, Error> {
        let rank = self.ctx.rank;
        let (own, digest) = match (plan, &whole) {
            (ToldPlan::Kept(kept), _) => (Arc::clone(&kept.own), kept.digest),
            (ToldPlan::New { digest, .. }, Some(whole)) => (Arc::new(whole.prepared.of_rank(rank)), digest),
            (ToldPlan::New { digest, common, chunks }, None) => {
                (Arc::new(sent::open(rank, &common, chunks.as_ref())?), digest)
            }
        };
        let kept = Arc::new(Kept { key, whole, own, digest });
        *self.saver.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&kept));
        Ok(kept)
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
    plan: &'s RankPlan,
    flat: &'s FlatState<'f>,
    ctx: &'s PlanContext,
}

impl WriteSource for Resolver<'_, '_> {
    fn source(&self, item: &WriteItem) -> Result<Source<'_>, StorageError> {
        self.planner.resolve(item, self.plan, self.flat, self.ctx).map_err(|error| {
            let fqn = self.plan.outline().name(item.entry);
            StorageError::NoSource { fqn, source: Box::new(error) }
        })
    }
}
