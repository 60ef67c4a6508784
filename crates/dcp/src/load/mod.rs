//! Loading.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dcp_collective::{Collective, Exchange, Progress};
use dcp_default_planner::DefaultLoadPlanner;
use dcp_planner::{EntrySet, LoadPlan, LoadPlanner, PlanError, Problem, cut_target};
use dcp_stateful::Stateful;
use dcp_storage::{Commons, ComposedReader, Format, Io, ReadReport, StorageError, StorageReader, Verify};
use dcp_types::{
    Dest, Digest, FlatTarget, Fqn, Loaded, LoadedLeaf, Metadata, ReadItem, ReadWhat, StatePath, StateTarget,
    TargetLeaf, flatten_target, unflatten,
};

use crate::group::{Group, Members};
use crate::report::total;
use crate::{Error, LoadReport, Location, formats};

/// Loads state, with all the choices there are.
///
/// ```
/// use dcp::{Loader, MemoryStore, Saver, StateDict, StateTarget, TargetLeaf, Verify};
/// let store = MemoryStore::new();
/// Saver::new().save_dict(&StateDict::new().with("step", 7), store.clone())?;
///
/// let target = StateTarget::new().with("step", TargetLeaf::Value);
/// let (loaded, report) = Loader::new().verify(Verify::All).load_into(target, store)?;
/// assert_eq!(report.total().verified, report.total().needed);
/// # Ok::<(), dcp::Error>(())
/// ```
pub struct Loader<'a> {
    group: Group<'a>,
    planner: Box<dyn LoadPlanner + 'a>,
    formats: Vec<Arc<dyn Format>>,
    threads: Option<usize>,
    verify: Verify,
}

impl Default for Loader<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Loader<'a> {
    /// A single process that loads strictly.
    #[must_use]
    pub fn new() -> Self {
        Self {
            group: Group::alone(),
            planner: Box::new(DefaultLoadPlanner::new()),
            formats: formats::known(),
            threads: None,
            verify: Verify::default(),
        }
    }

    /// Loads together with the other ranks of a group. All of them must make the same calls.
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

    /// Plans in another way: [`DefaultLoadPlanner`] has options for partial loads, dtype conversion and renaming.
    #[must_use]
    pub fn planner(mut self, planner: impl LoadPlanner + 'a) -> Self {
        self.planner = Box::new(planner);
        self
    }

    /// Reads one more format.
    #[must_use]
    pub fn format(mut self, format: impl Format + 'static) -> Self {
        self.formats.insert(0, Arc::new(format));
        self
    }

    /// On how many threads a rank reads (unless told one for each core, at most 8; ranks that are threads of one process share the cores).
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// What is checked of the bytes that are read (every checksum block that is read whole, unless told).
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// Loads the state of an object, in place.
    ///
    /// # Errors
    /// As [`load_from`](Self::load_from), and whatever the object reports.
    pub fn load<S: Stateful + ?Sized>(&self, state: &mut S, from: impl Into<Location>) -> Result<LoadReport, Error> {
        self.group.together(|exchange, members| {
            let lent = &mut *state;
            let outcome = self.steps(exchange, members, || self.reader(from), move || Ok(lent.state_target()?));
            let (loaded, report) = outcome?;
            let take_over = |_: &Progress| Ok::<_, Error>(state.load_state_dict(loaded)?);
            exchange.all_reduce("take over", take_over, |_: Vec<()>, _| Ok(()))?;
            Ok(report)
        })
    }

    /// Loads into the buffers of a target. Returns a tree of the target's form with the values in it.
    ///
    /// # Errors
    /// As [`load_from`](Self::load_from).
    pub fn load_into(&self, target: StateTarget<'_>, from: impl Into<Location>) -> Result<(Loaded, LoadReport), Error> {
        self.group.together(|exchange, members| self.steps(exchange, members, || self.reader(from), || Ok(target)))
    }

    /// Loads through any reader.
    ///
    /// # Errors
    /// [`Error::Plan`] with one report of everything that does not fit (no buffer has been touched then), [`Error::Storage`],
    /// and [`Error::Collective`], which names the rank, for an error on another rank. After an error while reading
    /// the buffers' contents are unspecified.
    pub fn load_from(
        &self,
        reader: &dyn StorageReader,
        target: StateTarget<'_>,
    ) -> Result<(Loaded, LoadReport), Error> {
        self.group
            .together(|exchange, members| self.steps(exchange, members, || Ok(Reader::Lent(reader)), || Ok(target)))
    }

    /// Whatever can fail is part of a step, so that all ranks learn of it.
    fn steps<'r, 't>(
        &self,
        exchange: &mut Exchange<'_>,
        members: &Members,
        reader: impl FnOnce() -> Result<Reader<'r>, Error>,
        target: impl FnOnce() -> Result<StateTarget<'t>, Error>,
    ) -> Result<(Loaded, LoadReport), Error> {
        let start = Instant::now();
        let Opened { reader, io, metadata, overhead } = open(exchange, || Ok((reader()?, self.io()?)))?;
        let here = exchange.in_common(Arc::new(Here::default()));
        here.ranks.fetch_add(1, Ordering::SeqCst);
        let (plan, flat) = self.plan(exchange, members, &metadata, || Ok(flatten_target(target()?)?))?;
        // They have planned together: no one comes later.
        let ranks_here = here.ranks.load(Ordering::SeqCst);
        let io = if self.threads.is_none() { io.with_ranks(ranks_here) } else { io };
        let io = if ranks_here > 1 { io.with_commons(Arc::clone(&here.commons)) } else { io };
        let (mut loaded, mut ranks) = (None, Vec::new());
        let total = exchange.all_reduce(
            "read",
            |progress| {
                let advance = |bytes| progress.advance(bytes);
                let io = io.clone().with_progress(&advance);
                let (tree, mut report) = self.read(reader.get(), &metadata, &plan, flat, &io)?;
                report.overhead += overhead;
                loaded = Some((tree, report));
                Ok::<_, Error>(report)
            },
            |reports: Vec<ReadReport>, _| {
                ranks = members.labels.iter().copied().zip(reports).collect();
                Ok(total(ranks.iter().map(|(_, report)| *report)))
            },
        )?;
        let (tree, own) = loaded.unwrap_or_default();
        Ok((tree, LoadReport { own, ranks, total, elapsed: start.elapsed() }))
    }

    fn reader(&self, from: impl Into<Location>) -> Result<Reader<'static>, Error> {
        let store = from.into().store()?;
        let format = formats::detect(&store, &self.formats, &self.io()?)?;
        Ok(Reader::Own(ComposedReader::new(format, store)))
    }

    fn io(&self) -> Result<Io<'static>, Error> {
        let io = Io::new()?.with_verify(self.verify);
        Ok(self.threads.map_or(io.clone(), |threads| io.with_threads(threads)))
    }

    /// Plans on every rank, and judges all of it together.
    fn plan<'t>(
        &self,
        exchange: &mut Exchange<'_>,
        members: &Members,
        metadata: &Metadata,
        flatten: impl FnOnce() -> Result<FlatTarget<'t>, Error>,
    ) -> Result<(LoadPlan, FlatTarget<'t>), Error> {
        let mut planned = None;
        exchange.all_reduce(
            "plan",
            |_| {
                let flat = flatten()?;
                let plan = self.planner.local_plan(metadata, &flat, &members.ctx)?;
                let summary = (plan.named.clone(), plan.problems.clone());
                planned = Some((plan, flat));
                Ok::<_, Error>(summary)
            },
            |all: Vec<(EntrySet, Vec<Problem>)>, _| {
                let mut named = EntrySet::default();
                let mut problems = Vec::new();
                for (entries, found) in all {
                    named.extend(&entries);
                    problems.extend(found);
                }
                problems.sort();
                problems.dedup();
                Ok(self.planner.global_plan(metadata, &named, problems, &members.ctx)?)
            },
        )?;
        Ok(planned.unwrap_or_default())
    }

    /// Reads what the plan of this rank says.
    fn read(
        &self,
        reader: &dyn StorageReader,
        metadata: &Metadata,
        plan: &LoadPlan,
        mut flat: FlatTarget<'_>,
        io: &Io<'_>,
    ) -> Result<(Loaded, ReadReport), Error> {
        let mut encoded: Vec<Vec<u8>> = vec![Vec::new(); plan.values.len()];
        let mut paths = Vec::with_capacity(flat.len());
        let mut buffers = dcp_types::reexports::indexmap::IndexMap::new();
        for (fqn, (path, leaf)) in &mut flat {
            if let TargetLeaf::Tensor(tensor) = leaf {
                buffers.insert(fqn.clone(), tensor.dest.reborrow());
            }
            paths.push((fqn.clone(), path.clone()));
        }
        let mut items: Vec<(ReadItem, Dest<'_>)> = Vec::new();
        for read in &plan.tensors {
            let Some(buffer) = buffers.swap_remove(&read.target) else { return Err(unplanned(&read.target)) };
            for (item, piece) in cut_target(read, buffer)? {
                items.push((item, self.planner.wrap(read, Dest::Memory(piece))?));
            }
        }
        for (value, buffer) in plan.values.iter().zip(&mut encoded) {
            items.push((ReadItem { entry: value.entry, what: ReadWhat::Value }, Dest::Value(buffer)));
        }
        let report = io.block_on(reader.read_data(items, io))?;
        let mut values = std::collections::HashMap::new();
        for (value, bytes) in plan.values.iter().zip(encoded) {
            let fqn = metadata.entry(value.entry).map_or("?".into(), |(fqn, _)| fqn.clone());
            values
                .insert(&value.target, self.planner.load_value(&fqn, reader.decode_value(value.entry, bytes.into())?)?);
        }
        let tensors: std::collections::HashSet<_> = plan.tensors.iter().map(|read| &read.target).collect();
        let leaves = paths.iter().filter_map(|(fqn, path)| {
            let leaf = match values.remove(fqn) {
                Some(value) => LoadedLeaf::Value(value),
                None => tensors.contains(fqn).then_some(LoadedLeaf::InPlace)?,
            };
            Some((path.clone(), leaf))
        });
        let leaves: Vec<(StatePath, LoadedLeaf)> = leaves.collect();
        Ok((unflatten(leaves)?, report))
    }
}

/// What ranks that are threads of one process share in a load.
#[derive(Default)]
struct Here {
    /// How many they are.
    ranks: AtomicUsize,
    commons: Arc<Commons>,
}

/// A planner reads into each tensor of the target once, and into nothing else.
fn unplanned(target: &Fqn) -> Error {
    PlanError::custom(format!("{target}: the plan reads into it twice, or it is no tensor of the target")).into()
}

/// What a load goes through.
enum Reader<'r> {
    Own(ComposedReader),
    Lent(&'r dyn StorageReader),
}

impl Reader<'_> {
    fn get(&self) -> &dyn StorageReader {
        match self {
            Self::Own(reader) => reader,
            Self::Lent(reader) => *reader,
        }
    }
}

/// A checkpoint that this rank has opened.
struct Opened<'r> {
    reader: Reader<'r>,
    io: Io<'static>,
    metadata: Arc<Metadata>,
    /// How many bytes were read for it.
    overhead: u64,
}

/// Opens the checkpoint on every rank, until all have opened the same one.
fn open<'r>(
    exchange: &mut Exchange<'_>,
    prepare: impl FnOnce() -> Result<(Reader<'r>, Io<'static>), Error>,
) -> Result<Opened<'r>, Error> {
    const ATTEMPTS: usize = 5;
    let (mut prepare, mut opened) = (Some(prepare), None);
    let mut overhead = 0;
    for attempt in 1..=ATTEMPTS {
        let same = exchange.all_reduce(
            "open",
            |_| {
                let (reader, io) = match (prepare.take(), opened.take()) {
                    (_, Some(Opened { reader, io, .. })) => (reader, io),
                    (Some(prepare), None) => prepare()?,
                    (None, None) => unreachable!("after an error there is no further attempt"),
                };
                let found = io.block_on(reader.get().read_metadata(&io))?;
                overhead += found.overhead;
                opened = Some(Opened { reader, io, metadata: found.metadata, overhead });
                Ok(found.fingerprint)
            },
            |fingerprints: Vec<Digest>, _| {
                let same = fingerprints.windows(2).all(|pair| pair[0] == pair[1]);
                if same || attempt < ATTEMPTS { Ok(same) } else { Err(unsteady()) }
            },
        )?;
        if same && let Some(opened) = opened.take() {
            return Ok(opened);
        }
    }
    Err(unsteady())
}

fn unsteady() -> Error {
    StorageError::NoCheckpoint {
        location: "the given place".into(),
        reason: "it is overwritten so often that the ranks never find the same checkpoint".into(),
    }
    .into()
}
