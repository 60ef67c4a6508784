//! A checkpoint of one file whose locators are given, in a store that keeps a record.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use dcp_storage::conformance::block_on;
use dcp_storage::{
    Ask, BlockChecks, Checksum, Commons, ComposedReader, Extent, FileLayout, Format, Generation, Io, Layout, Locator,
    MemoryStore, ObjectMeta, OpenedCheckpoint, Precondition, ReadRange, ReadReport, Reply, Step, StorageError,
    StorageReader, Store, StorePath, StoreTraits, Upload, Verify, Version, WrittenFile,
};
use dcp_types::{
    Chunk, Chunks, DType, DataError, DataSink, Dest, Digest, Entry, EntryKind, GlobalPlan, Metadata, Rank, RankPlan,
    ReadItem, ReadWhat, Region, Segment, Shape, StatePath, TensorEntry, ViewMut,
};

const FILE: &str = "data";
const INDEX: &str = "index";

/// Entries of a checkpoint, and where they are said to lie.
pub(crate) struct Place {
    pub(crate) watch: Arc<Watch>,
    reader: ComposedReader,
    shapes: Vec<Vec<u64>>,
    io: Io<'static>,
}

impl Place {
    pub(crate) fn new(file: &[u8], entries: Vec<(EntryKind, Locator)>) -> Self {
        Self::with(file, entries, StoreTraits::default())
    }

    pub(crate) fn with(file: &[u8], entries: Vec<(EntryKind, Locator)>, traits: StoreTraits) -> Self {
        let inner = MemoryStore::new();
        let index = StorePath::parse(INDEX).expect("a name");
        block_on(inner.publish(&path(), file, Precondition::Absent)).expect("publishes");
        block_on(inner.publish(&index, INDEX.as_bytes(), Precondition::Absent)).expect("publishes");
        let watch = Arc::new(Watch {
            inner,
            traits,
            reads: Mutex::default(),
            calls: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            before: OnceLock::new(),
        });
        let shape = |kind: &EntryKind| match kind {
            EntryKind::Tensor(tensor) => tensor.shape.dims().to_vec(),
            _ => Vec::new(),
        };
        let shapes = entries.iter().map(|(kind, _)| shape(kind)).collect();
        let (kinds, locators): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        let entry = |(number, kind)| Entry { path: StatePath::new(vec![Segment::Item(number)]), kind };
        let numbered = kinds.into_iter().zip(0..).map(|(kind, number)| (number, kind));
        let metadata = Metadata::new(numbered.map(entry)).expect("numbers differ");
        let shelf = Shelf { metadata: Arc::new(metadata), locators };
        let reader = ComposedReader::new(Arc::new(Said(Arc::new(shelf))), watch.clone());
        let io = Io::new().expect("threads").with_threads(2);
        block_on(reader.read_metadata(&io)).expect("opens");
        Self { watch, reader, shapes, io }
    }

    /// A tensor in one chunk, in a payload that is the whole file.
    pub(crate) fn tensor(dtype: DType, shape: &[u64], payload: &[u8], layout: Layout) -> Self {
        Self::new(payload, vec![(tensor(dtype, shape), extent(0, payload, layout, 0))])
    }

    pub(crate) fn verify(mut self, verify: Verify) -> Self {
        self.io = self.io.with_verify(verify);
        self
    }

    pub(crate) fn threads(mut self, threads: usize) -> Self {
        self.io = self.io.with_threads(threads);
        self
    }

    pub(crate) fn whole(&self, entry: usize) -> ReadItem {
        self.part(entry, Region::new(vec![0; self.shapes[entry].len()], self.shapes[entry].clone()).expect("region"))
    }

    pub(crate) fn part(&self, entry: usize, region: Region) -> ReadItem {
        let shape = Shape::new(self.shapes[entry].clone()).expect("shape");
        let chunk = Chunk { region: Region::full(&shape), number: 0 };
        ReadItem { entry, what: ReadWhat::Region { chunk, region } }
    }

    pub(crate) fn read(&self, wanted: Vec<(ReadItem, Dest<'_>)>) -> Result<ReadReport, StorageError> {
        block_on(self.reader.read_data(wanted, &self.io))
    }

    /// All who read from here do so together.
    pub(crate) fn together(mut self) -> Self {
        self.io = self.io.with_commons(Arc::new(Commons::new()));
        self
    }

    /// Reads an item into row-major memory.
    pub(crate) fn bytes(&self, dtype: DType, item: ReadItem) -> Result<(Vec<u8>, ReadReport), StorageError> {
        let sizes = sizes(&item);
        let mut memory = vec![0xEE; (sizes.iter().product::<u64>() * dtype.size()) as usize];
        let view = ViewMut::from_bytes(dtype, &sizes, &mut memory).expect("view");
        let report = self.read(vec![(item, Dest::Memory(view))])?;
        Ok((memory, report))
    }

    /// Reads an item into memory that has its dimensions in reverse order; gives it row-major.
    pub(crate) fn reversed(&self, dtype: DType, item: ReadItem) -> Result<(Vec<u8>, ReadReport), StorageError> {
        let sizes = sizes(&item);
        let strides: Vec<u64> = (0..sizes.len()).map(|dim| sizes[..dim].iter().product()).collect();
        let mut memory = vec![0xEE; (sizes.iter().product::<u64>() * dtype.size()) as usize];
        let view = ViewMut::from_strided_bytes(dtype, &sizes, &strides, &mut memory).expect("view");
        let report = self.read(vec![(item, Dest::Memory(view))])?;
        let all = Region::new(vec![0; sizes.len()], sizes).expect("region");
        Ok((naive(&memory, 0, &strides, dtype.size(), &all), report))
    }

    /// Reads an item into a sink.
    pub(crate) fn sunk(&self, item: ReadItem) -> Result<(Vec<u8>, ReadReport), StorageError> {
        let mut taken = Vec::new();
        let report = self.read(vec![(item, Dest::Sink(Box::new(Sink(&mut taken))))])?;
        Ok((taken, report))
    }
}

fn sizes(item: &ReadItem) -> Vec<u64> {
    match &item.what {
        ReadWhat::Region { region, .. } => region.sizes().to_vec(),
        ReadWhat::Value => panic!("not a tensor"),
    }
}

pub(crate) fn path() -> StorePath {
    StorePath::parse(FILE).expect("a name")
}

pub(crate) fn tensor(dtype: DType, shape: &[u64]) -> EntryKind {
    let shape = Shape::new(shape.iter().copied()).expect("shape");
    EntryKind::Tensor(TensorEntry { dtype, shape, chunks: Chunks::Whole })
}

/// A payload in the file, with checksums of blocks of so many bytes; with none for 0.
pub(crate) fn extent(offset: u64, payload: &[u8], layout: Layout, block: usize) -> Locator {
    let sums: Vec<u32> = if block == 0 { Vec::new() } else { payload.chunks(block).map(crc).collect() };
    let checks = (block > 0).then(|| BlockChecks {
        kind: Checksum::Crc32,
        block: block as u64,
        entries: 0..sums.len(),
        table: sums.into(),
    });
    Locator::Extent(Extent { file: path(), offset, length: payload.len() as u64, layout, checks })
}

fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

pub(crate) fn strided(first: u64, strides: &[u64]) -> Layout {
    Layout { first, strides: Some(strides.to_vec()), steps: Vec::new() }
}

/// The elements of a region one by one, row-major.
pub(crate) fn naive(payload: &[u8], first: u64, strides: &[u64], element: u64, region: &Region) -> Vec<u8> {
    let mut out = Vec::new();
    for number in 0..region.numel() {
        let (mut rest, mut at) = (number, 0);
        for dim in (0..region.ndim()).rev() {
            at += (region.offsets()[dim] + rest % region.sizes()[dim]) * strides[dim];
            rest /= region.sizes()[dim];
        }
        let start = (first + at * element) as usize;
        out.extend_from_slice(&payload[start..start + element as usize]);
    }
    out
}

/// Bytes of which no few in a row come twice.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

pub(crate) struct Sink<'a>(pub(crate) &'a mut Vec<u8>);

impl DataSink for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        assert!(bytes.len() as u64 <= Io::READ_BUFFER);
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// A format in which everything lies where it is said to lie.
#[derive(Debug)]
struct Said(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    metadata: Arc<Metadata>,
    locators: Vec<Locator>,
}

impl OpenedCheckpoint for Shelf {
    fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    fn fingerprint(&self) -> Digest {
        Digest::of(INDEX.as_bytes())
    }

    fn locate(self: Arc<Self>, items: Vec<ReadItem>) -> Box<dyn Ask<Output = Vec<Locator>>> {
        Box::new(Ready(Some(items.iter().map(|item| self.locators[item.entry].clone()).collect())))
    }
}

struct Ready<T>(Option<T>);

impl<T: Send> Ask for Ready<T> {
    type Output = T;

    fn next(&mut self, _: Vec<Reply>) -> Result<Step<T>, StorageError> {
        Ok(Step::Done(self.0.take().expect("asked once")))
    }
}

fn read_only<T>() -> Result<T, StorageError> {
    Err(StorageError::Unsupported { format: "said", what: "writing".into() })
}

impl Format for Said {
    fn name(&self) -> &'static str {
        "said"
    }

    fn index_path(&self) -> StorePath {
        StorePath::parse(INDEX).expect("a name")
    }

    fn lay_out(&self, _: &RankPlan, _: Generation) -> Result<Vec<FileLayout>, StorageError> {
        read_only()
    }

    fn summarise(&self, _: &[WrittenFile]) -> Result<Bytes, StorageError> {
        read_only()
    }

    fn encode_index(&self, _: &GlobalPlan, _: &[(Rank, Bytes)], _: Generation) -> Result<Bytes, StorageError> {
        read_only()
    }

    fn generation(&self, _: &[u8]) -> Result<Generation, StorageError> {
        read_only()
    }

    fn open(&self, _: dcp_storage::Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>> {
        Box::new(Ready(Some(Arc::clone(&self.0) as Arc<dyn OpenedCheckpoint>)))
    }
}

/// A store that keeps a record of what is read.
#[derive(Debug)]
pub(crate) struct Watch {
    inner: MemoryStore,
    traits: StoreTraits,
    reads: Mutex<Vec<Range<u64>>>,
    calls: AtomicUsize,
    under_way: AtomicUsize,
    before: OnceLock<Before>,
}

/// What happens before bytes are read, on the thread that reads them.
struct Before(Box<Hook>);

type Hook = dyn Fn(&[Range<u64>]) -> Result<(), StorageError> + Send + Sync;

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Before")
    }
}

impl Watch {
    /// What has been read since this was asked last, in order of place.
    pub(crate) fn reads(&self) -> Vec<Range<u64>> {
        let mut reads = std::mem::take(&mut *self.reads.lock().unwrap_or_else(PoisonError::into_inner));
        reads.sort_by_key(|read| read.start);
        reads
    }

    /// How often the store has been called to read since this was asked last.
    pub(crate) fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }

    /// Has something happen before every read from now on.
    pub(crate) fn before(&self, what: impl Fn(&[Range<u64>]) -> Result<(), StorageError> + Send + Sync + 'static) {
        self.before.set(Before(Box::new(what))).expect("said once");
    }

    /// How many reads have begun and not ended.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// The same, where no byte may have been read twice: how many bytes.
    pub(crate) fn each_once(&self) -> u64 {
        let reads = self.reads();
        for pair in reads.windows(2) {
            assert!(pair[0].end <= pair[1].start, "{:?} and {:?}", pair[0], pair[1]);
        }
        reads.iter().map(|read| read.end - read.start).sum()
    }
}

#[async_trait]
impl Store for Watch {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn traits(&self) -> StoreTraits {
        self.traits.clone()
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.inner.head(path).await
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        let range = |range: &ReadRange<'_>| range.offset..range.offset + range.buffer.len() as u64;
        let wanted: Vec<_> = ranges.iter().map(range).collect();
        if let Some(Before(before)) = self.before.get() {
            before(&wanted)?;
        }
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).extend(wanted);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let mut others_went_on = false;
        // As over a network.
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut others_went_on, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let read = self.inner.read(path, ranges).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        read
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
