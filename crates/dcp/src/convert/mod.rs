//! Converting: a checkpoint is read, and written anew elsewhere: in another format, in other pieces, in part.
//!
//! It is a save whose state is a checkpoint. The ranks that save it are there only in the plan ([`plan`]); a few threads do their work
//! ([`work`]), and what a rank writes is read when its turn comes ([`source`]).

mod cancel;
mod checks;
mod key;
mod lightning;
mod place;
mod plan;
mod rename;
mod report;
mod resharding;
mod select;
mod source;
mod ties;
mod values;
mod work;

pub use cancel::Cancel;
pub use lightning::LightningForm;
pub use report::{ConvertProgress, ConvertReport};

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use dcp_planner::PlanError;
use dcp_storage::{ComposedWriter, DataName, Format, StorageError, Store, Strictness};
use dcp_types::{DType, DeviceMesh, Digest, Placement};

use self::checks::{Checks, Watch};
use self::lightning::Arrangement;
use self::place::Directories;
use self::plan::{Cutting, Planned};
use self::rename::Rename;
use self::resharding::Resharding;
use self::select::{Chosen, Selection};
use self::source::Origin;
use self::work::Written;
use crate::{Checkpoint, Error, Location, Opener, formats};

/// Writes a checkpoint anew at another place, with all the choices there are.
///
/// It takes little memory, whatever the size of the checkpoint: what the [`memory`](Self::memory) budget says, the index, and the largest
/// single value. Every byte of a tensor that has a checksum is compared with it, so that what is damaged fails the conversion and does not get a
/// new checksum that is right. The source is only read, and the destination has what it had before until everything is written.
///
/// Unless told otherwise all is kept: names, values, dtypes, format, and how tensors are cut into chunks (in a format of one file they
/// are not cut).
///
/// ```
/// use dcp::{Checkpoint, Converter, DType, LocalTensor, MemoryStore, NativeFormat, Saver, StateDict};
/// let weight = ndarray::arr1(&[1f32, 2.0, 3.0]).into_dyn();
/// let model = StateDict::new().with("weight", LocalTensor::whole(weight.view())?);
/// let (saved, converted) = (MemoryStore::new(), MemoryStore::new());
/// Saver::new().save_dict(&StateDict::new().with("model", model).with("step", 7), saved.clone())?;
///
/// let converter = Converter::new().to(NativeFormat::new()).include("model.*")?.dtype(DType::BFloat16);
/// let report = converter.convert(saved, converted.clone())?;
/// assert_eq!((report.tensors, report.values, report.bytes), (1, 0, 6));
/// assert_eq!(Checkpoint::open(converted)?.tensor("model.weight")?.dtype(), DType::BFloat16);
/// # Ok::<(), dcp::Error>(())
/// ```
pub struct Converter<'a> {
    opener: Opener,
    format: Target,
    selection: Selection,
    arrangement: Arrangement,
    dtype: Option<DType>,
    resharding: Option<Resharding>,
    jobs: usize,
    memory: u64,
    strictness: Strictness,
    overwrite: bool,
    fsync: bool,
    dry_run: bool,
    cancel: Cancel,
    progress: &'a (dyn Fn(ConvertProgress) + Send + Sync),
}

/// Which format is written.
enum Target {
    OfSource,
    Named(String),
    This(Arc<dyn Format>),
}

impl Default for Converter<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Converter<'a> {
    /// The memory that a conversion takes unless told otherwise, in bytes.
    pub const MEMORY: u64 = 64 << 20;

    /// How many ranks of the plan are at work at a time unless told otherwise.
    pub const JOBS: usize = 4;

    /// Copies everything as it is, durably, to a place where no checkpoint is yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            opener: Opener::new(),
            format: Target::OfSource,
            selection: Selection::default(),
            arrangement: Arrangement::Kept,
            dtype: None,
            resharding: None,
            jobs: Self::JOBS,
            memory: Self::MEMORY,
            strictness: Strictness::Strict,
            overwrite: false,
            fsync: true,
            dry_run: false,
            cancel: Cancel::new(),
            progress: &|_| {},
        }
    }

    /// Writes this format (that of the source unless told).
    #[must_use]
    pub fn to(mut self, format: impl Format + 'static) -> Self {
        self.format = Target::This(Arc::new(format));
        self
    }

    /// Writes the format of this name, as `dcp`, or of which this is an ending, as `pt`. If there is none, the conversion fails with
    /// [`Error::UnknownFormat`].
    #[must_use]
    pub fn to_named(mut self, name: &str) -> Self {
        self.format = Target::Named(name.to_owned());
        self
    }

    /// Writes one file of `torch.save` that Lightning loads, as its `consolidate` makes it of a checkpoint of several files: whatever is in its
    /// `meta.pt`, and the rest of the state, in this form. With `None` the form is told from what is there: [`LightningForm::Trainer`] if the
    /// Trainer has saved it, which puts its version into the state; else [`LightningForm::Fabric`], which leaves every state as it is, also one
    /// that is not Lightning's.
    ///
    /// Optimizers' states have the names of parameters as keys, as in the source, which Lightning and PyTorch take.
    ///
    /// One thing differs: an `OrderedDict` of the state in `meta.pt` becomes a dict, as in every checkpoint.
    ///
    /// A state that has no place in the form of the Trainer fails the conversion: [`Error::NotOfTrainer`]. Which form it was is in the report.
    ///
    /// ```no_run
    /// use dcp::{Converter, LightningForm};
    /// let report = Converter::new().consolidate(None).convert("epoch=3.ckpt", "epoch=3.ckpt.consolidated")?;
    /// assert_eq!(report.form, Some(LightningForm::Trainer));
    /// # Ok::<(), dcp::Error>(())
    /// ```
    #[must_use]
    pub fn consolidate(mut self, form: Option<LightningForm>) -> Self {
        self.arrangement = form.map_or(Arrangement::Told, Arrangement::Lightning);
        self.to_named("torch-save")
    }

    /// Knows the formats that this opener knows, to read and to write by their names.
    #[must_use]
    pub fn opener(mut self, opener: Opener) -> Self {
        self.opener = opener;
        self
    }

    /// Takes only entries whose whole name matches this pattern, or another one that is given so.
    ///
    /// In a pattern, `*` stands for any characters, dots among them, `?` for one, `[ab]` for one of these, `{a,b}` for one of these
    /// patterns, and a backslash takes the meaning from what follows it.
    ///
    /// # Errors
    /// [`Error::Pattern`] if it cannot be understood. A pattern that matches nothing fails the conversion: [`Error::NothingChosen`].
    pub fn include(mut self, pattern: &str) -> Result<Self, Error> {
        self.selection.meant.include(pattern)?;
        Ok(self)
    }

    /// Leaves out entries whose whole name matches this pattern, whatever is [included](Self::include).
    ///
    /// # Errors
    /// [`Error::Pattern`] if it cannot be understood.
    pub fn exclude(mut self, pattern: &str) -> Result<Self, Error> {
        self.selection.meant.exclude(pattern)?;
        Ok(self)
    }

    /// Calls `new`, and `new` with what follows, what is called `old`, or `old` and a dot with what follows.
    ///
    /// `model` to `net` makes `model.w` `net.w` and leaves `models.w`. An empty `new` takes the beginning away, an empty `old` puts one
    /// before every name. Of several that fit a name the first counts, and only that. In the tree, the steps with which both names begin stay, and the
    /// rest of `new` is one key.
    ///
    /// A new name that is taken fails the conversion ([`Error::SameName`]), and so does an `old` that nothing is called
    /// ([`Error::NothingChosen`]).
    #[must_use]
    pub fn rename(mut self, old: &str, new: &str) -> Self {
        self.selection.renames.push(Rename::new(old, new));
        self
    }

    /// Converts tensors of floating-point dtypes to this one, as
    /// [`convert_dtypes`](crate::DefaultLoadPlanner::convert_dtypes) does; others stay as they are.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// Cuts all tensors anew, as the ranks of this mesh would have saved them: by the placements, one for each dimension of the mesh, of the
    /// first rule whose pattern (see [`include`](Self::include)) matches the name.
    ///
    /// Where no rule matches, the first dimension of the mesh shards the first one of the tensor, if it has one, and the others
    /// replicate.
    ///
    /// ```
    /// use dcp::{Converter, DeviceMesh, Placement};
    /// let mesh = DeviceMesh::new([2, 4])?.with_names(["dp", "tp"])?;
    /// let columns = [Placement::Replicate, Placement::Shard(1)];
    /// let converter = Converter::new().reshard(mesh, [("*.up.weight", columns.to_vec())])?;
    /// # Ok::<(), dcp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Pattern`] if a pattern cannot be understood. Placements that a tensor has not the dimensions for fail the conversion:
    /// [`PlanError::Types`] names it.
    pub fn reshard<P: AsRef<str>>(
        mut self,
        mesh: DeviceMesh,
        rules: impl IntoIterator<Item = (P, Vec<Placement>)>,
    ) -> Result<Self, Error> {
        self.resharding = Some(Resharding::new(mesh, rules)?);
        Ok(self)
    }

    /// How many ranks of the plan are at work at a time, which write a file each (4 unless told). Where the source has fewer files, so many
    /// are written.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    /// About how much memory is taken, in bytes, beside the index and the largest single value (64 MiB unless told). It is shared among the
    /// jobs, each of which takes at least 5 MiB; twice as much as is left of a share where a chunk lies in another order than it is written
    /// in; 32 MiB more where that chunk is compressed as well.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Leaves out what the index of the source describes in a way that cannot be right, as [`Checkpoint::salvage`] does; it is counted
    /// in the report.
    #[must_use]
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.strictness = if salvage { Strictness::Salvage } else { Strictness::Strict };
        self
    }

    /// Replaces a checkpoint of the same format that is at the destination, at once when all is written (refused unless told).
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

    /// Only finds out what would be written; nothing is.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Stops when this asks for it.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Tells of progress, often and from any thread.
    #[must_use]
    pub fn progress(mut self, progress: &'a (dyn Fn(ConvertProgress) + Send + Sync)) -> Self {
        self.progress = progress;
        self
    }

    /// Converts. Returns when the checkpoint is there, whole and durable.
    ///
    /// If the process dies, the same conversion, started again, goes on: files that were finished are not written again, and are counted in
    /// [`ConvertReport::found`]. The same means the same source, unchanged, choices, destination and version of this library. That is so
    /// where the destination is more than one file, durable ([`fsync`](Self::fsync)) and of a format that was
    /// [named](Self::to_named) or is the source's. If the first process is still at it, it ends with
    /// [`StorageError::TakenOver`].
    ///
    /// # Errors
    /// [`Error::Source`] for what cannot be read of the source, [`Error::Storage`] for what is wrong with it as a whole, and for what the destination
    /// says; [`Error::Plan`], [`Error::NothingChosen`], [`Error::SameName`], [`Error::NotOfTrainer`], [`Error::NotFloatingPoint`] and [`Error::SamePlace`] for what cannot be done, before anything
    /// is written; [`Error::Cancelled`]. What was at the destination before is untouched then, and nothing else is there.
    pub fn convert(&self, from: impl Into<Location>, to: impl Into<Location>) -> Result<ConvertReport, Error> {
        let (start, from, to) = (Instant::now(), from.into(), to.into());
        place::refuse_same(&from, &to)?;
        let store = from.store()?;
        let known = self.opener.formats();
        let source = Checkpoint::open_in(Arc::clone(&store), self.strictness, known)?;
        let format = match &self.format {
            Target::OfSource => formats::named(source.format(), known)?,
            Target::Named(name) => formats::named(name, known)?,
            Target::This(format) => Arc::clone(format),
        };
        let destination = to.store_for(&*format, self.fsync)?;
        let writer = ComposedWriter::new(Arc::clone(&format), Arc::clone(&destination)).overwrite(self.overwrite);
        place::refuse_existing(&writer, &destination, &*format, known, self.overwrite, source.io())?;
        let mut chosen = self.selection.choose(source.metadata(), source.location())?;
        let form = self.arrangement.arrange(&mut chosen, source.metadata(), source.location())?;
        let planned = self.plan(&source, &*store, &*format, &*destination, &chosen)?;
        format.check(&planned.plan)?;
        let mut report = ConvertReport::of(&planned.plan, format.name(), form, source.findings().len());
        if !self.dry_run {
            let made = Directories::missing(&to, format.is_one_file());
            let key = if self.may_resume() {
                key::of(&from, &*store, &*formats::named(source.format(), known)?, &planned, &*format, source.io())?
            } else {
                None
            };
            let written = self.write(source, planned, &writer, key, report.bytes);
            let written = written.inspect_err(|_| made.remove_empty())?;
            (report.written, report.found) = (written.all, written.found);
        }
        report.elapsed = start.elapsed();
        Ok(report)
    }

    /// Whether a conversion that was interrupted may be gone on with: what it has written must be durable, and of a format that the caller brings
    /// not all can be told that its files depend on, as keys of ciphers.
    fn may_resume(&self) -> bool {
        self.fsync && !matches!(self.format, Target::This(_))
    }

    fn plan(
        &self,
        source: &Checkpoint,
        store: &dyn Store,
        format: &dyn Format,
        destination: &dyn Store,
        chosen: &[Chosen],
    ) -> Result<Planned, Error> {
        let items = items(source, chosen);
        let cutting = match &self.resharding {
            Some(_) if format.is_one_file() => {
                let what = "a mesh: it is one file".into();
                return Err(StorageError::Unsupported { format: format.name(), what }.into());
            }
            Some(resharding) => Cutting::Resharded(resharding),
            None if format.is_one_file() => Cutting::Whole(match destination.shared() {
                Some(_) => plan::ranks_for(1, self.jobs, items),
                None => 1,
            }),
            None => Cutting::Kept(plan::ranks_for(files(source, store)?, self.jobs, items)),
        };
        self.check_dtypes(source, chosen)?;
        let values = values::declare(source, chosen, format, &self.cancel)?;
        // Formats of several files have a copy for each name.
        let ties = if format.is_one_file() { ties::find(source, chosen)? } else { HashMap::new() };
        plan::plan(source, chosen, values, &ties, |dtype| self.dtype_of(dtype), &cutting)
    }

    /// The dtype in which a tensor is written.
    fn dtype_of(&self, stored: DType) -> DType {
        self.dtype.filter(|_| stored.is_floating_point()).unwrap_or(stored)
    }

    fn check_dtypes(&self, source: &Checkpoint, chosen: &[Chosen]) -> Result<(), Error> {
        let Some(to) = self.dtype else { return Ok(()) };
        if !to.is_floating_point() {
            return Err(Error::NotFloatingPoint { dtype: to });
        }
        for chosen in chosen {
            let Some((fqn, entry)) = source.metadata().entry(chosen.entry) else { continue };
            let Some(from) = entry.as_tensor().map(|tensor| tensor.dtype) else { continue };
            if from.is_floating_point() && from != to && !dcp_default_planner::converts(from, to) {
                return Err(PlanError::Unsupported { fqn: fqn.clone(), from, to }.into());
            }
        }
        Ok(())
    }

    fn write(
        &self,
        checkpoint: Checkpoint,
        planned: Planned,
        writer: &ComposedWriter,
        key: Option<Digest>,
        bytes: u64,
    ) -> Result<Written, Error> {
        let busy = work::busy(&planned.plan, &planned.ranks);
        let memory = self.memory / self.jobs.min(busy.len()).max(1) as u64;
        let checks = Checks::needed(&checkpoint, &planned.plan, &planned.origins, source::most_open(memory))?;
        let (total, done) = (bytes.saturating_add(checks.bytes), AtomicU64::new(0));
        let advance = |bytes| {
            let done = bytes + done.fetch_add(bytes, Ordering::Relaxed);
            (self.progress)(ConvertProgress { done, total });
        };
        advance(0);
        let watch = Watch { cancel: &self.cancel, advance: &advance };
        let checked = checks.run(&checkpoint, &checkpoint.io().clone().with_threads(self.jobs), &watch);
        let checked = checked.map_err(|error| if self.cancel.is_cancelled() { Error::Cancelled } else { error })?;
        let (cancel, failed) = (self.cancel.clone(), AtomicBool::new(false));
        let origin = Origin { checkpoint, planned, checked, cancel, failed, advance: &advance, memory };
        work::write(writer, key, &origin, &busy, self.jobs)
    }
}

/// How many files of data the source has, as far as names tell.
fn files(source: &Checkpoint, store: &dyn Store) -> Result<usize, Error> {
    let listing = source.io().block_on(store.list(None))?;
    Ok(listing.iter().filter(|object| DataName::parse(&object.path).is_some()).count())
}

/// How many things there are to be written.
fn items(source: &Checkpoint, chosen: &[Chosen]) -> u64 {
    let count = |chosen: &Chosen| {
        let entry = source.metadata().entry(chosen.entry).map(|(_, entry)| entry);
        entry.and_then(|entry| entry.as_tensor()).map_or(1, |tensor| tensor.chunk_count().max(1))
    };
    chosen.iter().map(count).fold(0, u64::saturating_add)
}
