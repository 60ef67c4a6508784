//! The engine moves bytes straight between files and tensors: each once, in parallel, with little memory of its own.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dcp::{
    BufferPlace, ComposedReader, ComposedWriter, DType, DataSink, DataSource, DefaultLoadPlanner, DeviceMesh,
    Durability, HeldPart, LoadPlanner, LoadReport, Loader, LocalStore, LocalTensor, MemoryStore, Metadata,
    NativeFormat, Placement, PlanError, Problem, Region, Saver, StateDict, StateTarget, StorageError, Store,
    TargetTensor, TensorSpec, ThreadGroup, Value, Verify, View, ViewMut,
};
use dcp_planner::{EntrySet, LoadPlan, PlanContext, TensorRead};
use dcp_storage::{Io, ObjectMeta, Precondition, ReadRange, StorePath, StoreTraits, Upload, Version};
use dcp_types::{DataError, Dest, FlatTarget};
use ndarray::{Array2, s};
use peak_alloc::PeakAlloc;

/// 64 MiB.
const ROWS: usize = 2048;
const COLUMNS: usize = 4096;
const THREADS: usize = 2;
/// What a load or save may take for plans, tables of checksums and lists of tasks.
const ALLOWANCE: usize = 512 << 10;

#[test]
fn contiguous_target() {
    let _alone = alone();
    for place in Place::filled(1) {
        let mut target = Array2::<i64>::zeros((ROWS, COLUMNS));
        let watch = place.watch(true);
        let report =
            bounded(|| load(&watch, Region::full(&shape()), ViewMut::from_array(target.view_mut().into_dyn())));
        assert_eq!(target, full());
        watch.assert_each_byte_once(&report);
        assert_eq!(report.total().verified, report.total().needed);
    }
}

#[test]
fn transposed_target() {
    let _alone = alone();
    for place in Place::filled(1) {
        let mut target = Array2::<i64>::zeros((COLUMNS, ROWS));
        let watch = place.watch(true);
        let report = bounded(|| {
            load(&watch, Region::full(&shape()), ViewMut::from_array(target.view_mut().reversed_axes().into_dyn()))
        });
        assert_eq!(target.t(), full());
        watch.assert_each_byte_once(&report);
    }
}

#[test]
fn sub_box_of_a_larger_buffer() {
    let _alone = alone();
    for place in Place::filled(1) {
        let mut buffer = Array2::<i64>::from_elem((ROWS + 30, COLUMNS + 70), -1);
        let watch = place.watch(true);
        let report = bounded(|| {
            let inner = buffer.slice_mut(s![10..ROWS + 10, 20..COLUMNS + 20]);
            load(&watch, Region::full(&shape()), ViewMut::from_array(inner.into_dyn()))
        });
        assert_eq!(buffer.slice(s![10..ROWS + 10, 20..COLUMNS + 20]), full());
        assert_eq!(buffer.iter().filter(|&&element| element == -1).count(), buffer.len() - ROWS * COLUMNS);
        watch.assert_each_byte_once(&report);
    }
}

/// Saved by rows on four ranks; loaded by columns, of which each row is a run of 4 KiB.
#[test]
fn rows_become_columns() {
    let _alone = alone();
    for place in Place::filled(4) {
        for columns in [512..1024, 0..512, 1000..1512] {
            let mut target = Array2::<i64>::zeros((ROWS, columns.len()));
            let watch = place.watch(true);
            let report = bounded(|| load(&watch, column(&columns), ViewMut::from_array(target.view_mut().into_dyn())));
            assert_eq!(target, full().slice(s![.., columns]));
            watch.assert_each_byte_once(&report);
            // Reading whole chunks would have read everything.
            assert_eq!(report.total().whole_chunks, (ROWS * COLUMNS * 8) as u64);
        }
    }
}

/// The same into a target that is transposed.
#[test]
fn rows_become_transposed_columns() {
    let _alone = alone();
    for place in Place::filled(4) {
        let mut target = Array2::<i64>::zeros((1024, ROWS));
        let watch = place.watch(true);
        let report = bounded(|| {
            load(&watch, column(&(512..1536)), ViewMut::from_array(target.view_mut().reversed_axes().into_dyn()))
        });
        assert_eq!(target.t(), full().slice(s![.., 512..1536]));
        watch.assert_each_byte_once(&report);
    }
}

/// Elements far from each other are read one by one: nothing else is read.
#[test]
fn single_column() {
    let _alone = alone();
    for place in Place::filled(4) {
        let mut target = Array2::<i64>::zeros((ROWS, 1));
        let watch = place.watch(false);
        let report = bounded(|| load(&watch, column(&(77..78)), ViewMut::from_array(target.view_mut().into_dyn())));
        assert_eq!(target, full().slice(s![.., 77..78]));
        watch.assert_each_byte_once(&report);
    }
}

/// Elements close to each other are read with what lies between them, once, in parallel and with no list of all of them.
#[test]
fn narrow_column_of_short_rows() {
    let _alone = alone();
    let (rows, columns) = (ROWS * COLUMNS / 2, 2);
    let array = Array2::from_shape_fn((rows, columns), |(row, column)| (row * columns + column) as i64);
    for place in Place::each() {
        let state = StateDict::new().with("weight", LocalTensor::whole(array.view().into_dyn()).expect("tensor"));
        save(&place, &state);
        let region = Region::new([0, 1], [rows as u64, 1]).expect("region");
        let spec = part_spec([rows as u64, columns as u64], region);
        let mut target = Array2::<i64>::zeros((rows, 1));
        let watch = place.watch(true);
        let report = bounded(|| {
            load_spec(&watch, spec, ViewMut::from_array(target.view_mut().into_dyn()), DefaultLoadPlanner::new())
        });
        assert_eq!(target, array.slice(s![.., 1..]));
        let total = report.total();
        assert_eq!(total.needed, (rows * 8) as u64);
        assert!(total.read <= 2 * total.needed && total.read > 2 * total.needed - 16 * total.ranges, "{total:?}");
        assert_eq!(watch.bytes_read(), total.read + total.overhead);
        watch.assert_no_byte_twice();
    }
}

/// Verifying everything reads whole blocks, and no more memory.
#[test]
fn verified_columns() {
    let _alone = alone();
    for place in Place::filled(4) {
        let mut target = Array2::<i64>::zeros((ROWS, 1000));
        let watch = place.watch(true);
        let report = bounded(|| {
            let loader = Loader::new().threads(THREADS).verify(Verify::All);
            let target = ViewMut::from_array(target.view_mut().into_dyn());
            load_with(&loader, &watch, part_spec(SHAPE, column(&(1000..2000))), target)
        });
        assert_eq!(target, full().slice(s![.., 1000..2000]));
        assert_eq!(report.total().verified, report.total().needed);
    }
}

/// A sink gets every byte of its piece once and in order; it is fed from a buffer.
#[test]
fn sinks() {
    let _alone = alone();
    for place in Place::filled(4) {
        // All; runs of a row; single elements; a run that is a buffer and a half.
        for (rows, columns) in [(0..ROWS, 0..COLUMNS), (0..ROWS, 1000..2000), (0..ROWS, 5..6), (3..22, 0..COLUMNS)] {
            let mut target = Array2::<i64>::zeros((columns.len(), rows.len()));
            let watch = place.watch(rows.len() == ROWS && columns.len() > 1);
            let region =
                Region::new([rows.start as u64, columns.start as u64], [rows.len() as u64, columns.len() as u64]);
            let spec = part_spec(SHAPE, region.expect("region"));
            let planner = Through { inner: DefaultLoadPlanner::new(), written: AtomicUsize::new(0) };
            let report = bounded(|| {
                let view = ViewMut::from_array(target.view_mut().reversed_axes().into_dyn());
                load_spec(&watch, spec, view, &planner)
            });
            assert_eq!(target.t(), full().slice(s![rows.clone(), columns.clone()]));
            assert_eq!(planner.written.load(Ordering::Relaxed), rows.len() * columns.len() * 8);
            watch.assert_each_byte_once(&report);
        }
    }
}

#[test]
fn strided_sources() {
    let _alone = alone();
    let array = full();
    let transposed = array.t().as_standard_layout().into_owned();
    let mut wide = Array2::<i64>::zeros((ROWS, COLUMNS + 8));
    wide.slice_mut(s![.., 4..COLUMNS + 4]).assign(&array);
    for view in [array.view(), transposed.t(), wide.slice(s![.., 4..COLUMNS + 4])] {
        let dir = tempfile::tempdir().expect("temporary directory");
        let place = Place::Disk(dir);
        let state = StateDict::new().with("weight", LocalTensor::whole(view.into_dyn()).expect("tensor"));
        bounded(|| save(&place, &state));
        place.assert_holds(&array);
    }
}

/// A source that cannot lend memory is read once, in order, in pieces.
#[test]
fn lazy_sources() {
    let _alone = alone();
    let array = full();
    let place = Place::Disk(tempfile::tempdir().expect("temporary directory"));
    let source = Device { view: View::from_array(array.view().into_dyn()), reads: Mutex::default() };
    let spec = TensorSpec::replicated(DType::Int64, SHAPE).expect("spec");
    let state = StateDict::new().with("weight", LocalTensor::lazy(spec, &source));
    bounded(|| save(&place, &state));
    let reads = source.reads.lock().expect("lock").clone();
    let mut end = 0;
    for read in &reads {
        assert_eq!(read.start, end, "each byte once, in order");
        assert!(read.end - read.start <= Io::WRITE_BUFFER);
        end = read.end;
    }
    assert_eq!(end, (ROWS * COLUMNS * 8) as u64);
    place.assert_holds(&array);
}

/// A rank's files are written at the same time.
#[test]
fn several_files() {
    let _alone = alone();
    let array = full();
    let place = Place::Disk(tempfile::tempdir().expect("temporary directory"));
    let (top, bottom) = (array.slice(s![..1000, ..]), array.slice(s![1000.., ..]));
    let state = StateDict::new()
        .with("top", LocalTensor::whole(top.t().into_dyn()).expect("tensor"))
        .with("bottom", LocalTensor::whole(bottom.t().into_dyn()).expect("tensor"));
    let report = bounded(|| {
        let format = Arc::new(NativeFormat::new().files_per_rank(2));
        let writer = ComposedWriter::new(format, place.open());
        Saver::new().threads(THREADS).save_to(&writer, &state).expect("saves")
    });
    assert_eq!((report.total().files, report.total().data), (2, (ROWS * COLUMNS * 8) as u64));
    let checkpoint = dcp::Checkpoint::open(place.open()).expect("opens");
    assert_eq!(checkpoint.tensor("top").expect("reads").to_array::<i64>().expect("i64"), top.t().into_dyn());
    assert_eq!(checkpoint.tensor("bottom").expect("reads").to_array::<i64>().expect("i64"), bottom.t().into_dyn());
}

const SHAPE: [u64; 2] = [ROWS as u64, COLUMNS as u64];

fn shape() -> dcp::Shape {
    dcp::Shape::new(SHAPE).expect("shape")
}

fn full() -> Array2<i64> {
    Array2::from_shape_vec((ROWS, COLUMNS), (0..(ROWS * COLUMNS) as i64).collect()).expect("as many")
}

fn column(columns: &Range<usize>) -> Region {
    Region::new([0, columns.start as u64], [ROWS as u64, columns.len() as u64]).expect("region")
}

/// A tensor of which a region is wanted, as the whole of a buffer.
fn part_spec(shape: [u64; 2], region: Region) -> TensorSpec {
    let place = BufferPlace::Box(vec![0, 0]);
    TensorSpec::regions(DType::Int64, shape, [HeldPart { region, place }]).expect("spec")
}

fn load(watch: &Arc<Watch>, region: Region, target: ViewMut<'_>) -> LoadReport {
    load_spec(watch, part_spec(SHAPE, region), target, DefaultLoadPlanner::new())
}

fn load_spec(watch: &Arc<Watch>, spec: TensorSpec, target: ViewMut<'_>, planner: impl LoadPlanner) -> LoadReport {
    load_with(&Loader::new().threads(THREADS).planner(planner), watch, spec, target)
}

fn load_with(loader: &Loader<'_>, watch: &Arc<Watch>, spec: TensorSpec, target: ViewMut<'_>) -> LoadReport {
    let reader = ComposedReader::new(Arc::new(NativeFormat::new()), watch.clone());
    let target = StateTarget::new().with("weight", TargetTensor::new(spec, target));
    loader.load_from(&reader, target).expect("loads").1
}

fn save(place: &Place, state: &StateDict<'_>) {
    let writer = ComposedWriter::new(Arc::new(NativeFormat::new()), place.open()).overwrite(true);
    Saver::new().threads(THREADS).save_to(&writer, state).expect("saves");
}

enum Place {
    Memory(MemoryStore),
    Disk(tempfile::TempDir),
}

impl Place {
    fn each() -> [Self; 2] {
        [Self::Memory(MemoryStore::new()), Self::Disk(tempfile::tempdir().expect("temporary directory"))]
    }

    /// Places that hold the tensor, saved by rows on some ranks.
    fn filled(ranks: usize) -> [Self; 2] {
        let array = full();
        let mesh = Arc::new(DeviceMesh::new([ranks as u32]).expect("mesh"));
        let spec = TensorSpec::sharded(DType::Int64, SHAPE, &mesh, [Placement::Shard(0)]).expect("spec");
        let places = Self::each();
        for place in &places {
            let writer = ComposedWriter::new(Arc::new(NativeFormat::new()), place.open());
            let saved = ThreadGroup::run(ranks, |rank| {
                let rows = ROWS / ranks;
                let first = dcp::Collective::rank(&rank) * rows;
                let local = View::from_array(array.slice(s![first..first + rows, ..]).into_dyn());
                let state = StateDict::new().with("weight", LocalTensor::new(spec.clone(), local));
                Saver::new().group(&rank).save_to(&writer, &state)
            });
            saved.into_iter().for_each(|outcome| drop(outcome.expect("no panic").expect("saves")));
        }
        places
    }

    fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Disk(dir) => Arc::new(LocalStore::open(dir.path()).durability(Durability::None)),
        }
    }

    fn watch(&self, together: bool) -> Arc<Watch> {
        let gate = Gate { reading: 0, met: !together };
        Arc::new(Watch { inner: self.open(), reads: Mutex::default(), gate: Mutex::new(gate), second: Condvar::new() })
    }

    fn assert_holds(&self, array: &Array2<i64>) {
        let checkpoint = dcp::Checkpoint::open(self.open()).expect("opens").verify(Verify::All);
        let loaded = checkpoint.tensor("weight").expect("reads");
        assert_eq!(loaded.to_array::<i64>().expect("i64"), array.view().into_dyn());
    }
}

/// A store that keeps a record of what is read of data files, and lets the first read wait for a second one.
#[derive(Debug)]
struct Watch {
    inner: Arc<dyn Store>,
    reads: Mutex<Vec<(StorePath, Range<u64>)>>,
    gate: Mutex<Gate>,
    second: Condvar,
}

#[derive(Debug)]
struct Gate {
    reading: usize,
    /// Whether two have been reading at the same time.
    met: bool,
}

impl Watch {
    /// Every byte that was needed was read once, and nothing else; and the report says so.
    fn assert_each_byte_once(&self, report: &LoadReport) {
        let total = report.total();
        self.assert_no_byte_twice();
        assert_eq!(total.read, total.needed, "{total:?}");
        // What is neither needed nor overhead would be found here.
        assert_eq!(self.bytes_read(), total.read + total.overhead, "{total:?}");
        let footers = self.reads().iter().filter(|(path, _)| path.as_str() != INDEX).count() as u64 - total.ranges;
        assert!(footers <= 4, "{footers} tables of checksums");
    }

    fn assert_no_byte_twice(&self) {
        let mut reads = self.reads().clone();
        reads.sort_by(|(a, one), (b, other)| (a, one.start).cmp(&(b, other.start)));
        for pair in reads.windows(2) {
            let [(path, one), (other_path, other)] = pair else { continue };
            assert!(path != other_path || one.end <= other.start, "{path}: {one:?} and {other:?}");
        }
    }

    /// Bytes read of all files.
    fn bytes_read(&self) -> u64 {
        self.reads().iter().map(|(_, range)| range.end - range.start).sum()
    }

    fn reads(&self) -> MutexGuard<'_, Vec<(StorePath, Range<u64>)>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.reading += 1;
        if gate.reading >= 2 {
            gate.met = true;
            self.second.notify_all();
        }
        while !gate.met {
            let (now, timeout) =
                self.second.wait_timeout(gate, Duration::from_secs(60)).unwrap_or_else(PoisonError::into_inner);
            gate = now;
            assert!(gate.met || !timeout.timed_out(), "no second read is under way");
        }
    }

    fn leave(&self) {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).reading -= 1;
    }
}

const INDEX: &str = "index.dcp";

#[async_trait]
impl Store for Watch {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn traits(&self) -> StoreTraits {
        self.inner.traits()
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.inner.head(path).await
    }

    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        self.inner.size(path).await
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        let mut read: Vec<(StorePath, Range<u64>)> = Vec::new();
        for range in ranges.iter() {
            let end = range.offset + range.buffer.len() as u64;
            match read.last_mut() {
                Some((_, last)) if last.end == range.offset => last.end = end,
                _ => read.push((path.clone(), range.offset..end)),
            }
        }
        // The index and the tables of checksums are small.
        let is_data = ranges.iter().map(|range| range.buffer.len()).sum::<usize>() > 64 << 10;
        if is_data {
            self.enter();
        }
        let outcome = self.inner.read(path, ranges).await;
        if is_data {
            self.leave();
        }
        self.reads().extend(read);
        outcome
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        self.inner.create(path, expected_size).await
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        self.inner.publish(path, content, when).await
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.inner.delete(path).await
    }
}

/// Puts a sink before every destination.
struct Through {
    inner: DefaultLoadPlanner,
    written: AtomicUsize,
}

impl LoadPlanner for &Through {
    fn local_plan(&self, saved: &Metadata, target: &FlatTarget<'_>, ctx: &PlanContext) -> Result<LoadPlan, PlanError> {
        self.inner.local_plan(saved, target, ctx)
    }

    fn global_plan(
        &self,
        saved: &Metadata,
        named: &EntrySet,
        problems: Vec<Problem>,
        ctx: &PlanContext,
    ) -> Result<(), PlanError> {
        self.inner.global_plan(saved, named, problems, ctx)
    }

    fn wrap<'a>(&'a self, _: &TensorRead, dest: Dest<'a>) -> Result<Dest<'a>, PlanError> {
        let Dest::Memory(view) = dest else { panic!("buffers are memory here") };
        Ok(Dest::Sink(Box::new(Sink { view, offset: 0, written: &self.written })))
    }

    fn load_value(&self, fqn: &dcp::Fqn, value: Value) -> Result<Value, PlanError> {
        self.inner.load_value(fqn, value)
    }
}

/// Passes bytes on to where they belong if they come in order.
struct Sink<'a> {
    view: ViewMut<'a>,
    offset: u64,
    written: &'a AtomicUsize,
}

impl DataSink for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        assert!(bytes.len() as u64 <= Io::READ_BUFFER);
        self.view.write_at(self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        self.written.fetch_add(bytes.len(), Ordering::Relaxed);
        Ok(())
    }
}

/// A tensor that can be read but not lent.
struct Device<'a> {
    view: View<'a>,
    reads: Mutex<Vec<Range<u64>>>,
}

impl DataSource for &Device<'_> {
    fn dtype(&self) -> DType {
        self.view.dtype()
    }

    fn shape(&self) -> Vec<u64> {
        self.view.shape()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        self.reads.lock().expect("lock").push(offset..offset + out.len() as u64);
        Ok(self.view.read_at(offset, out)?)
    }
}

/// Runs something that may have, at any time, just buffers beside what was there before.
fn bounded<T>(work: impl FnOnce() -> T) -> T {
    // What is made once in a process is no part of it.
    Io::new().expect("threads").block_on(async {});
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    let taken = ALLOCATOR.peak_usage() - before;
    let buffers = THREADS * Io::READ_BUFFER.max(Io::WRITE_BUFFER) as usize;
    assert!(taken <= buffers + ALLOWANCE, "{taken} bytes were taken, for buffers of {buffers}");
    result
}

/// All allocations of the process are counted, so only one test may run at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;
