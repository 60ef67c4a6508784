//! Saving.

mod declare;
mod plan;
mod sent;
mod write;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dcp_collective::Collective;
use dcp_default_planner::DefaultSavePlanner;
use dcp_planner::{PlanContext, SavePlanner};
use dcp_stateful::Stateful;
use dcp_storage::{ComposedWriter, Format, Io, StorageWriter};
use dcp_types::{FlatState, StateDict, flatten_state};

use self::plan::Kept;
use self::write::Written;
use crate::group::Group;
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
            // It may have been another rank then.
            let kept = kept.filter(|kept| kept.own.rank() == ctx.rank);
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
