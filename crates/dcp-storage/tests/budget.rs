//! Whatever lies in whatever order: it is put in order in buffers of a size that does not depend on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use dcp_storage::{
    BlockChecks, Checksum, Commons, Decoded, Decoder, Io, Layers, Layout, Locator, PostStep, StorageError, StoreTraits,
    Stream, StreamCodec, StreamTransform, Transforms, Verify, Zstd,
};
use dcp_types::{DType, DataError, DataSink, Dest, ReadItem, Region, ViewMut};

use peak_alloc::PeakAlloc;
use support::{Place, extent, noise, path, strided, tensor};

#[path = "read/support.rs"]
#[expect(dead_code, reason = "shared with the tests of what arrives")]
mod support;

/// 12 MiB of elements.
const ROWS: u64 = 512;
const COLUMNS: u64 = 3072;
const BYTES: usize = (ROWS * COLUMNS * 8) as usize;
const BUFFER: usize = Io::READ_BUFFER as usize;
/// For tasks and lists of ranges, and for threads.
const ALLOWANCE: usize = 512 << 10;
/// What zstd takes to decode what was compressed at its lowest level.
const ZSTD: usize = 1 << 20;

#[test]
fn buffers_are_bounded() {
    let _alone = alone();
    let payload = noise(BYTES + 64);
    let steps = vec![PostStep::SwapBytes(8), PostStep::Negate];
    let stepped = Layout { steps, ..strided(0, &[COLUMNS, 1]) };
    // In its own order, permuted, interleaved; how much a sink may take beside one buffer.
    let layouts = [(stepped, 0), (strided(3, &[1, ROWS]), 4 << 20), (strided(0, &[1, 500]), 64 << 10)];
    for (layout, staged) in layouts {
        for (block, verify) in [(0, Verify::None), (1 << 16, Verify::All), (1 << 40, Verify::All)] {
            let entries = vec![(tensor(DType::Float64, &[ROWS, COLUMNS]), extent(0, &payload, layout.clone(), block))];
            let place = Place::with(&payload, entries, StoreTraits::default()).verify(verify);
            let mut memory = vec![0; BYTES];
            within(2 * (BUFFER + (64 << 10)), || into(&place, &[COLUMNS, 1], &mut memory));
            within(2 * (BUFFER + (64 << 10)), || into(&place, &[1, ROWS], &mut memory));
            // A sink is filled by one thread; the other may read for checksums.
            within(2 * BUFFER + staged, || read(&place, Dest::Sink(Box::new(Counted(0)))));
            within(2 * BUFFER, || read(&place, Dest::Discard));
        }
    }
}

#[test]
fn streams_are_decoded_in_constant_memory() {
    let _alone = alone();
    let payload = noise(BYTES);
    for strides in [[COLUMNS, 1], [1, ROWS]] {
        let codec = Arc::new(Plain(strided(0, &strides)));
        let stream = Stream {
            file: path(),
            offset: 0,
            length: BYTES as u64,
            layers: Layers::default(),
            codec: Some(codec),
            checks: None,
        };
        let place = Place::new(&payload, vec![(tensor(DType::Float64, &[ROWS, COLUMNS]), Locator::Stream(stream))]);
        let mut memory = vec![0; BYTES];
        within(BUFFER, || into(&place, &[COLUMNS, 1], &mut memory));
        within(BUFFER, || into(&place, &[1, ROWS], &mut memory));
        within(BUFFER, || read(&place, Dest::Discard));
    }
}

/// What ranks of one process read together has a bound of its own, however many they are and however much they want. One of them comes late, so
/// that all others read ahead for it as far as there is memory.
#[test]
fn what_is_read_together_is_bounded() {
    let _alone = alone();
    const RANKS: u64 = 4;
    const TALL: u64 = 3 * ROWS;
    const OWN: usize = 4096;
    let payload = noise(OWN + 3 * BYTES);
    let own = (tensor(DType::Float64, &[32, 16]), extent(0, &payload[..OWN], strided(0, &[16, 1]), 0));
    let whole = extent(OWN as u64, &payload[OWN..], strided(0, &[COLUMNS, 1]), 1 << 16);
    let entries = vec![own, (tensor(DType::Float64, &[TALL, COLUMNS]), whole)];
    let mut traits = StoreTraits::default();
    traits.coalesce_gap = 1 << 20;
    let place = Place::with(&payload, entries, traits).together();
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    place.watch.before(move |ranges| {
        if ranges.iter().any(|range| range.end <= OWN as u64) {
            let told = told.lock().unwrap_or_else(PoisonError::into_inner);
            (0..Commons::MEMORY >> 20).try_for_each(|_| told.recv()).expect("others read");
        } else if ranges.iter().map(|range| range.end - range.start).sum::<u64>() > 1 << 19 {
            let _ = tell.send(());
        }
        Ok(())
    });
    let mut memory: Vec<_> = (0..RANKS).map(|_| vec![0; 3 * BYTES / 64]).collect();
    let columns = |rank| Region::new([0, rank * COLUMNS / 64], [TALL, COLUMNS / 64]).expect("region");
    let read = |rank: u64, memory: &mut [u8]| {
        let (region, mut own) = (columns(rank), vec![0; OWN / 2]);
        let view = ViewMut::from_bytes(DType::Float64, region.sizes(), memory).expect("view");
        let mut wanted = vec![(place.part(1, region), Dest::Memory(view))];
        if rank == 0 {
            let half = Region::new([0, 0], [32, 8]).expect("region");
            let view = ViewMut::from_bytes(DType::Float64, &[32, 8], &mut own).expect("view");
            wanted.push((place.part(0, half), Dest::Memory(view)));
        }
        place.read(wanted).expect("reads").read
    };
    let buffers = RANKS as usize * 2 * (BUFFER + (64 << 10));
    let mut total = 0;
    within(Commons::MEMORY as usize + buffers, || {
        total = thread::scope(|scope| {
            let ranks: Vec<_> =
                (0..RANKS).zip(&mut memory).map(|(rank, memory)| scope.spawn(move || read(rank, memory))).collect();
            ranks.into_iter().map(|rank| rank.join().expect("no panic")).sum::<u64>()
        });
    });
    assert!(total < 3 * (3 * BYTES) as u64, "{total} bytes: each rank has read for itself");
}

/// What is compressed and summed needs one buffer more for either side of the transform, and what zstd itself needs.
#[test]
fn transforms_are_undone_in_constant_memory() {
    let _alone = alone();
    let plain: Vec<u8> = noise(BYTES / 64).repeat(64);
    let mut coder = Zstd::level(1).encoder().expect("an encoder");
    let (mut payload, mut rest) = (Vec::new(), plain.as_slice());
    while !rest.is_empty() {
        let taken = coder.code(rest, &mut payload).expect("encodes");
        rest = &rest[taken..];
    }
    while !coder.finish(&mut payload).expect("ends") {}
    let block = 1 << 16;
    let table: Arc<[u32]> = payload.chunks(block).map(crc32fast::hash).collect();
    let checks = Some(BlockChecks { kind: Checksum::Crc32, block: block as u64, entries: 0..table.len(), table });
    let (length, layers) = (payload.len() as u64, Transforms::new().layers(["stream.zstd/1"]));
    let stream = Stream { file: path(), offset: 0, length, layers, codec: None, checks };
    let place = Place::new(&payload, vec![(tensor(DType::Float64, &[ROWS, COLUMNS]), Locator::Stream(stream))]);
    let mut memory = vec![0; BYTES];
    within(2 * BUFFER + ZSTD, || into(&place, &[COLUMNS, 1], &mut memory));
    within(2 * BUFFER + ZSTD, || read(&place, Dest::Discard));
    assert!(memory == plain);
}

fn read(place: &Place, dest: Dest<'_>) {
    place.read(vec![(place.whole(0), dest)]).expect("reads");
}

fn into(place: &Place, strides: &[u64], memory: &mut [u8]) {
    let view = ViewMut::from_strided_bytes(DType::Float64, &[ROWS, COLUMNS], strides, memory);
    read(place, Dest::Memory(view.expect("view")));
}

/// Knows how much has come.
struct Counted(usize);

impl DataSink for Counted {
    fn write(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.0 += bytes.len();
        if self.0 <= BYTES { Ok(()) } else { Err("too much".into()) }
    }
}

/// No encoding at all.
#[derive(Clone, Debug)]
struct Plain(Layout);

impl StreamCodec for Plain {
    fn decoder(&self, _: &Stream, _: &ReadItem) -> Box<dyn Decoder> {
        Box::new(self.clone())
    }
}

impl Decoder for Plain {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decoded, StorageError> {
        let now = input.len().min(output.len());
        output[..now].copy_from_slice(&input[..now]);
        Ok(Decoded { consumed: now, produced: now })
    }

    fn layout(&self) -> Option<&Layout> {
        Some(&self.0)
    }

    fn finish(&mut self) -> Result<bool, StorageError> {
        Ok(false)
    }
}

/// All allocations of the process are counted, so only one test may run at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs something that may take, at any time, just so much beside what was there before.
fn within(budget: usize, work: impl FnOnce()) {
    // What is made once in a process is no part of it.
    Io::new().expect("threads").block_on(async {});
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    work();
    let taken = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(taken <= budget + ALLOWANCE, "{taken} bytes were taken, of {budget}");
}

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;
