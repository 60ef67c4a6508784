//! Writers and readers with one defect each, and the clauses that must notice it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use async_trait::async_trait;
use dcp::{
    ComposedReader, ComposedWriter, Metadata, NativeFormat, ReadReport, StorageError, StorageReader, StorageWriter,
    Store, Value, Verify,
};
use dcp_storage::conformance::plug::{CLAUSES, Clause, Plug};
use dcp_storage::{
    Found, Io, MemoryStore, ObjectMeta, Precondition, ReadRange, SaveToken, StorePath, StoreTraits, Upload, Version,
    WriteReport, WriteResult, WriteSource,
};
use dcp_types::{
    DType, DataError, Dest, Digest, GlobalPlan, OwnedTensor, Rank, RankPlan, RankSet, ReadItem, ReadWhat, Region,
    Shape, Source, ViewMut, WriteItem, WriteWhat,
};

#[test]
fn every_defect_is_caught_by_the_clauses_made_for_it() {
    let mut missed = Vec::new();
    for &(defect, clauses) in Defect::ALL {
        for &name in clauses {
            let clause = Clause::named(name).unwrap_or_else(|| panic!("{defect:?}: no clause {name}"));
            match clause.check(&Broken::new(defect)) {
                Err(violation) => assert_eq!(violation.clause, name),
                Ok(()) => missed.push((defect, name)),
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}

#[test]
fn every_clause_catches_something() {
    let named = |clause: &Clause| Defect::ALL.iter().any(|(_, clauses)| clauses.contains(&clause.name));
    let toothless: Vec<_> = CLAUSES.iter().filter(|clause| !named(clause)).map(|clause| clause.name).collect();
    assert!(toothless.is_empty(), "nothing broken for these clauses: {toothless:#?}");
}

#[test]
fn without_a_defect_nothing_is_caught() {
    for clause in CLAUSES {
        clause.check(&Broken::new(Defect::None)).expect("nothing is broken");
    }
}

macro_rules! defects {
    ($($(#[$doc:meta])* $defect:ident => $($clause:ident),*;)+) => {
        /// What a writer or reader does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Defect {
            $($(#[$doc])* $defect),+
        }

        impl Defect {
            /// Every defect, with the clauses made for it. Others may well notice it too.
            const ALL: &[(Self, &[&str])] = &[$((Self::$defect, &[$(stringify!($clause)),*])),+];
        }
    };
}

defects! {
    None => ;

    // Saving.
    /// The last rank to write commits.
    PublishesEarly => nothing_is_there_before_finish, old_one_is_there_before_finish;
    /// It commits at the beginning, as files that are there with their names do.
    RemovesTheOldAtTheBeginning => old_one_is_there_before_finish, abort_leaves_the_old_one;
    LosesTheDataOfARank => finished_one_is_whole, finished_one_replaces_the_old;
    FinishDoesNothing => finished_one_is_whole, metadata_is_what_was_saved;
    LosesValues => values_come_back;
    LetsRanksWriteInTurn => ranks_write_at_the_same_time;
    ReportsNothing => report_counts_what_was_written;
    WritesZerosForFailedSources => failing_source_fails;
    FillsUpShortSources => short_source_fails;

    // Rivals.
    OverwritesUnasked => existing_one_is_not_replaced_unasked;
    NeverOverwrites => finished_one_replaces_the_old, one_of_two_overwriting_savers_wins;
    LastFinishWins =>
        one_of_two_first_savers_wins, one_of_two_overwriting_savers_wins,
        overwriting_savers_do_not_write_to_the_same_objects, racing_finishes_have_one_winner,
        abort_of_the_loser_leaves_the_winner, abort_of_an_overwriting_loser_leaves_the_winner;
    /// Nobody's claim is respected: all savers have the same generation.
    SharesGenerations => overwriting_savers_do_not_write_to_the_same_objects;

    // Aborts.
    AbortCommits => abort_leaves_nothing_visible, failing_source_fails;
    AbortDoesNothing => abort_leaves_no_objects;
    AbortRemovesEverything =>
        abort_leaves_the_old_one, abort_of_the_loser_leaves_the_winner,
        abort_of_an_overwriting_loser_leaves_the_winner, abort_after_finish_changes_nothing,
        second_abort_leaves_the_next_save;
    SavesOnce => save_after_an_abort, abort_while_a_rank_writes;

    // Reading.
    MissingIsEmpty => missing_checkpoint_is_told;
    OpensByItself => data_before_metadata_fails;
    FingerprintsAreRandom => fingerprint_is_the_same_for_all_readers;
    FingerprintsAreConstant => fingerprint_tells_checkpoints_apart, reopened_reader_finds_the_new_one;
    ForgetsATensor => metadata_is_what_was_saved;
    ChecksInVain => check_accepts_what_is_there;
    FailsWithoutItems => no_items_at_all;
    ReadsFromTheStartOfTheChunk => parts_of_chunks, transposed_destination, destination_inside_a_larger_buffer;
    /// Fills memory as if it were contiguous.
    IgnoresStrides => transposed_destination, destination_inside_a_larger_buffer;
    SinksGetAllTwice => sink_gets_each_byte_once_in_order;
    SinksGetTheEndFirst => sink_gets_each_byte_once_in_order;
    SkipsTheLastItem => items_of_several_tensors;
    ReportsNothingNeeded => report_counts_what_was_needed;
    /// Only the first thread that reads is served.
    BelongsToAThread => readers_do_not_disturb_each_other;

    // Trouble.
    FillsWhatFits => destination_of_the_wrong_shape_fails, destination_of_the_wrong_size_fails;
    SwallowsErrorsOfSinks => failing_sink_fails;
    /// Reads what is there now, with the metadata of what was there before.
    FollowsTheNewOne => overwritten_one_is_old_or_told;
    KeepsTheFirstMetadata => reopened_reader_finds_the_new_one;
    ZeroFillsHoles => lost_object_is_an_error, cut_object_is_an_error;
    AcceptsShortReads => cut_object_is_an_error;
    ChecksNothing => damage_is_an_error;
}

/// A place whose writers and readers have a defect.
struct Broken {
    defect: Defect,
    store: MemoryStore,
    shared: Arc<Mutex<Shared>>,
}

/// What the defects need to go wrong.
#[derive(Default)]
struct Shared {
    /// Of the last save.
    plan: Option<GlobalPlan>,
    results: HashMap<Vec<u8>, Vec<(Rank, WriteResult)>>,
    begun: bool,
    writing: usize,
    reading: usize,
    thread: Option<ThreadId>,
}

impl Broken {
    fn new(defect: Defect) -> Self {
        Self { defect, store: MemoryStore::new(), shared: Arc::default() }
    }
}

impl Plug for Broken {
    fn writer(&self, overwrite: bool) -> Arc<dyn StorageWriter> {
        let overwrite = match self.defect {
            Defect::OverwritesUnasked => true,
            Defect::NeverOverwrites => false,
            _ => overwrite,
        };
        let store: Arc<dyn Store> = match self.defect {
            Defect::LastFinishWins | Defect::SharesGenerations => {
                Arc::new(Careless { inner: self.store.clone(), defect: self.defect })
            }
            _ => Arc::new(self.store.clone()),
        };
        let inner = ComposedWriter::new(Arc::new(NativeFormat::new()), store).overwrite(overwrite);
        Arc::new(BrokenWriter { defect: self.defect, inner, store: self.store.clone(), shared: self.shared.clone() })
    }

    fn reader(&self) -> Arc<dyn StorageReader> {
        Arc::new(BrokenReader {
            defect: self.defect,
            inner: ComposedReader::new(Arc::new(NativeFormat::new()), Arc::new(self.store.clone())),
            first: Mutex::default(),
            shared: self.shared.clone(),
        })
    }

    fn behind(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(self.store.clone()))
    }
}

struct BrokenWriter {
    defect: Defect,
    inner: ComposedWriter,
    store: MemoryStore,
    shared: Arc<Mutex<Shared>>,
}

impl BrokenWriter {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no test panics with a lock held")
    }

    async fn remove(&self, which: impl Fn(&str) -> bool) -> Result<(), StorageError> {
        for object in self.store.list(None).await?.iter().filter(|object| which(object.path.as_str())) {
            self.store.delete(&object.path).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl StorageWriter for BrokenWriter {
    async fn begin(&self, ranks: &RankSet) -> Result<SaveToken, StorageError> {
        if self.defect == Defect::SavesOnce && std::mem::replace(&mut self.shared().begun, true) {
            return Err(StorageError::Exists { location: "here".into(), found: "an earlier save".into() });
        }
        let token = self.inner.begin(ranks).await?;
        if self.defect == Defect::RemovesTheOldAtTheBeginning {
            self.remove(|name| name == "index.dcp").await?;
        }
        Ok(token)
    }

    fn prepare_global_plan(&self, plan: GlobalPlan) -> Result<GlobalPlan, StorageError> {
        let plan = self.inner.prepare_global_plan(plan)?;
        self.shared().plan = Some(plan.clone());
        Ok(plan)
    }

    async fn write_data(
        &self,
        token: &SaveToken,
        plan: &RankPlan,
        source: &dyn WriteSource,
        io: &Io<'_>,
    ) -> Result<WriteResult, StorageError> {
        if self.defect == Defect::LetsRanksWriteInTurn {
            let mut shared = self.shared();
            shared.writing += 1;
            if shared.writing > 1 {
                return Err(StorageError::NotFound { location: "here".into(), path: path("turn") });
            }
        }
        let source = BrokenSource { defect: self.defect, plan, inner: source };
        let written = self.inner.write_data(token, plan, &source, io).await;
        if self.defect == Defect::LetsRanksWriteInTurn {
            self.shared().writing -= 1;
        }
        let mut result = written?;
        match self.defect {
            Defect::ReportsNothing => result.report = WriteReport::default(),
            Defect::PublishesEarly | Defect::AbortCommits => {
                let results = {
                    let mut shared = self.shared();
                    let results = shared.results.entry(token.0.to_vec()).or_default();
                    results.push((plan.rank(), result.clone()));
                    results.clone()
                };
                let whole = self.shared().plan.clone();
                if let (Defect::PublishesEarly, 3, Some(plan)) = (self.defect, results.len(), whole) {
                    self.inner.finish(token, &plan, &results, io).await?;
                }
            }
            _ => {}
        }
        Ok(result)
    }

    async fn finish(
        &self,
        token: &SaveToken,
        plan: &GlobalPlan,
        results: &[(Rank, WriteResult)],
        io: &Io<'_>,
    ) -> Result<(), StorageError> {
        match self.defect {
            Defect::PublishesEarly | Defect::FinishDoesNothing => Ok(()),
            _ => self.inner.finish(token, plan, results, io).await,
        }
    }

    async fn abort(&self, token: &SaveToken, ranks_stopped: bool) -> Result<(), StorageError> {
        match self.defect {
            Defect::AbortDoesNothing => Ok(()),
            Defect::AbortRemovesEverything => self.remove(|_| true).await,
            // Whatever it is, it is visible.
            Defect::AbortCommits => {
                self.store.publish(&path("index.dcp"), b"half of it", Precondition::None).await.map(drop)
            }
            _ => self.inner.abort(token, ranks_stopped).await,
        }
    }
}

struct BrokenSource<'a> {
    defect: Defect,
    plan: &'a RankPlan,
    inner: &'a dyn WriteSource,
}

impl WriteSource for BrokenSource<'_> {
    fn source(&self, item: &WriteItem) -> Result<Source<'_>, StorageError> {
        let WriteWhat::Chunk(_, length) = &item.what else {
            let value = self.inner.source(item)?;
            let lost = || std::borrow::Cow::Owned(Value::None);
            return Ok(if self.defect == Defect::LosesValues { Source::Value(lost()) } else { value });
        };
        let zeros = || Source::Bytes(vec![0; *length as usize].into());
        debug_assert!(self.plan.outline().entry(item.entry).is_some());
        match (self.defect, self.inner.source(item)) {
            (Defect::LosesTheDataOfARank, Ok(_)) if self.plan.rank() == 1 => Ok(zeros()),
            (Defect::WritesZerosForFailedSources, Err(_)) => Ok(zeros()),
            (Defect::FillsUpShortSources, Ok(Source::View(view))) if view.nbytes() != *length => Ok(zeros()),
            (_, source) => source,
        }
    }
}

/// A store that lets the last one win, or takes every claim for granted.
#[derive(Debug)]
struct Careless {
    inner: MemoryStore,
    defect: Defect,
}

#[async_trait]
impl Store for Careless {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn traits(&self) -> StoreTraits {
        self.inner.traits()
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.inner.head(path).await
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        self.inner.read(path, ranges).await
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        if self.defect == Defect::SharesGenerations {
            self.inner.delete(path).await?;
        }
        self.inner.create(path, expected_size).await
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        let is_index = path.as_str() == "index.dcp";
        match self.defect {
            Defect::LastFinishWins if is_index => self.inner.publish(path, content, Precondition::None).await,
            Defect::SharesGenerations => self.inner.publish(path, content, Precondition::None).await,
            _ => self.inner.publish(path, content, when).await,
        }
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        let mut listed = self.inner.list(prefix).await?;
        if self.defect == Defect::SharesGenerations {
            // Nobody sees what is under way.
            listed.retain(|object| object.path.as_str() == "index.dcp");
        }
        Ok(listed)
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.inner.delete(path).await
    }
}

struct BrokenReader {
    defect: Defect,
    inner: ComposedReader,
    /// What was found first.
    first: Mutex<Option<Found>>,
    shared: Arc<Mutex<Shared>>,
}

#[async_trait]
impl StorageReader for BrokenReader {
    async fn read_metadata(&self, io: &Io<'_>) -> Result<Found, StorageError> {
        let first = || self.first.lock().expect("no test panics with a lock held");
        if self.defect == Defect::KeepsTheFirstMetadata
            && let Some(found) = &*first()
        {
            return Ok(found.clone());
        }
        let mut found = match self.inner.read_metadata(io).await {
            Err(StorageError::NoCheckpoint { .. }) if self.defect == Defect::MissingIsEmpty => {
                return Ok(Found { metadata: Arc::default(), fingerprint: Digest::of(b""), overhead: 0 });
            }
            found => found?,
        };
        match self.defect {
            Defect::FingerprintsAreConstant => found.fingerprint = Digest::of(b"constant"),
            Defect::FingerprintsAreRandom => {
                let mut shared = self.shared.lock().expect("no test panics with a lock held");
                shared.reading += 1;
                found.fingerprint = Digest::of(&shared.reading.to_le_bytes());
            }
            Defect::ForgetsATensor => {
                let entries = found.metadata.entries().map(|(_, entry)| entry.clone()).skip(1);
                found.metadata = Arc::new(Metadata::new(entries).expect("distinct names"));
            }
            _ => {}
        }
        *first() = Some(found.clone());
        Ok(found)
    }

    async fn check(&self, items: &[ReadItem], io: &Io<'_>) -> Result<(), StorageError> {
        if self.defect == Defect::ChecksInVain {
            return Err(StorageError::NotFound { location: "here".into(), path: path("anything") });
        }
        self.inner.check(items, io).await
    }

    async fn read_data(&self, mut items: Vec<(ReadItem, Dest<'_>)>, io: &Io<'_>) -> Result<ReadReport, StorageError> {
        let io = match self.defect {
            Defect::ChecksNothing => &io.clone().with_verify(Verify::None),
            _ => io,
        };
        match self.defect {
            Defect::OpensByItself | Defect::FollowsTheNewOne => drop(self.inner.read_metadata(io).await?),
            Defect::FailsWithoutItems if items.is_empty() => {
                return Err(StorageError::NotFound { location: "here".into(), path: path("nothing") });
            }
            Defect::SkipsTheLastItem if items.len() > 3 => drop(items.pop()),
            Defect::BelongsToAThread => {
                let mut shared = self.shared.lock().expect("no test panics with a lock held");
                if *shared.thread.get_or_insert(thread::current().id()) != thread::current().id() {
                    return Err(StorageError::NotFound { location: "here".into(), path: path("thread") });
                }
            }
            _ => {}
        }
        let (mut total, count) = (ReadReport::default(), items.len());
        for (item, dest) in items {
            let read = match self.defect {
                Defect::SinksGetAllTwice
                | Defect::SinksGetTheEndFirst
                | Defect::SwallowsErrorsOfSinks
                | Defect::IgnoresStrides
                | Defect::FillsWhatFits
                | Defect::ZeroFillsHoles
                | Defect::AcceptsShortReads
                | Defect::ReadsFromTheStartOfTheChunk => self.read_one(item, dest, io).await,
                _ => self.inner.read_data(vec![(item, dest)], io).await,
            };
            total += read?;
        }
        if count == 0 {
            total = self.inner.read_data(Vec::new(), io).await?;
        }
        if self.defect == Defect::ReportsNothingNeeded {
            total.needed = 0;
        }
        Ok(total)
    }
}

impl BrokenReader {
    /// Reads an item into memory of its own, and does something wrong with it.
    async fn read_one(&self, item: ReadItem, dest: Dest<'_>, io: &Io<'_>) -> Result<ReadReport, StorageError> {
        let ReadWhat::Region { chunk, region } = &item.what else {
            return self.inner.read_data(vec![(item, dest)], io).await;
        };
        let first = self.first.lock().expect("no test panics with a lock held").clone();
        let dtype = first.and_then(|found| {
            let (_, entry) = found.metadata.entry(item.entry)?;
            Some(entry.as_tensor()?.dtype)
        });
        let dtype = dtype.unwrap_or(DType::UInt8);
        let mut buffer = OwnedTensor::zeros(dtype, Shape::new(region.sizes().iter().copied()).expect("a shape"));
        let mut wanted = item.clone();
        if self.defect == Defect::ReadsFromTheStartOfTheChunk {
            let start = Region::new(chunk.region.offsets().to_vec(), region.sizes().to_vec()).expect("a region");
            wanted.what = ReadWhat::Region { chunk: chunk.clone(), region: start };
        }
        let read = self.inner.read_data(vec![(wanted, Dest::Memory(buffer.view_mut().expect("a view")))], io).await;
        let report = match (self.defect, read) {
            (Defect::ZeroFillsHoles, Err(StorageError::NotFound { .. } | StorageError::Corrupt { .. })) => {
                ReadReport::default()
            }
            (Defect::AcceptsShortReads, Err(StorageError::Corrupt { .. })) => return Ok(ReadReport::default()),
            (_, read) => read?,
        };
        deliver(self.defect, dest, buffer.bytes())
            .map_err(|source| StorageError::Destination { fqn: "?".into(), source })?;
        Ok(report)
    }
}

fn deliver(defect: Defect, dest: Dest<'_>, bytes: &[u8]) -> Result<(), DataError> {
    match dest {
        Dest::Sink(mut sink) => {
            let (start, end) = bytes.split_at(bytes.len() / 2);
            match defect {
                Defect::SinksGetAllTwice => [bytes, bytes].into_iter().try_for_each(|bytes| sink.write(bytes)),
                Defect::SinksGetTheEndFirst => [end, start].into_iter().try_for_each(|bytes| sink.write(bytes)),
                Defect::SwallowsErrorsOfSinks => {
                    drop(sink.write(bytes));
                    Ok(())
                }
                _ => sink.write(bytes),
            }
        }
        Dest::Memory(mut view) if defect == Defect::FillsWhatFits => {
            let room = bytes.len().min(view.nbytes() as usize);
            Ok(view.write_at(0, &bytes[..room])?)
        }
        Dest::Memory(view) if defect == Defect::IgnoresStrides => contiguous(view, bytes),
        Dest::Memory(mut view) => Ok(view.write_at(0, bytes)?),
        other => Err(format!("{other:?} is not expected here").into()),
    }
}

/// Writes to the elements in the order in which they lie in memory.
fn contiguous(view: ViewMut<'_>, bytes: &[u8]) -> Result<(), DataError> {
    let shape = view.shape();
    let mut view = view;
    if view.as_bytes_mut().is_some() || shape.len() != 2 {
        return Ok(view.write_at(0, bytes)?);
    }
    // Column by column: that is the order of a transposed array.
    let size = bytes.len() / (shape[0] * shape[1]) as usize;
    let mut turned = vec![0; bytes.len()];
    for (number, element) in bytes.chunks(size).enumerate() {
        let (column, row) = (number / shape[0] as usize, number % shape[0] as usize);
        let at = (row * shape[1] as usize + column) * size;
        turned[at..at + size].copy_from_slice(element);
    }
    Ok(view.write_at(0, &turned)?)
}

fn path(name: &str) -> StorePath {
    StorePath::parse(name).expect("a valid name")
}
