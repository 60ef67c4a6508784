//! Encoded items: decoded once for everything that is wanted of them, in little memory, and never believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dcp_storage::{
    Decoded, Decoder, Io, Layers, Layout, Locator, PostStep, ReadReport, StorageError, Stream, StreamCodec, Verify,
};
use dcp_types::{DType, Dest, EntryKind, ReadItem, ReadWhat, Region, ViewMut};

use crate::support::{Place, Sink, naive, path, strided, tensor};

/// Pairs of a count and a byte that is repeated so many times; then a zero.
#[derive(Debug, Default)]
struct Repeats {
    layout: Option<Layout>,
    decoders: AtomicUsize,
    decoded: Arc<AtomicUsize>,
    /// Whether a checksum is claimed to have been compared.
    checked: bool,
    /// At most so many bytes are decoded at a time, if any.
    step: usize,
}

struct Repeating {
    layout: Option<Layout>,
    decoded: Arc<AtomicUsize>,
    checked: bool,
    step: usize,
    count: Option<u8>,
    left: (usize, u8),
    ended: bool,
}

impl StreamCodec for Repeats {
    fn decoder(&self, _: &Stream, _: &ReadItem) -> Box<dyn Decoder> {
        self.decoders.fetch_add(1, Ordering::Relaxed);
        let step = if self.step == 0 { usize::MAX } else { self.step };
        Box::new(Repeating {
            layout: self.layout.clone(),
            decoded: Arc::clone(&self.decoded),
            checked: self.checked,
            step,
            count: None,
            left: (0, 0),
            ended: false,
        })
    }
}

impl Decoder for Repeating {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Decoded, StorageError> {
        let limit = output.len().min(self.step);
        let mut done = Decoded { consumed: 0, produced: 0 };
        loop {
            let now = self.left.0.min(limit - done.produced);
            output[done.produced..done.produced + now].fill(self.left.1);
            (self.left.0, done.produced) = (self.left.0 - now, done.produced + now);
            if done.produced == limit || done.consumed == input.len() || self.ended {
                self.decoded.fetch_add(done.produced, Ordering::Relaxed);
                return Ok(done);
            }
            let byte = input[done.consumed];
            done.consumed += 1;
            match self.count.take() {
                Some(count) => self.left = (count.into(), byte),
                None if byte == 0 => self.ended = true,
                None => self.count = Some(byte),
            }
        }
    }

    fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    fn finish(&mut self) -> Result<bool, StorageError> {
        if self.ended && self.left.0 == 0 { Ok(self.checked) } else { Err(cut_short()) }
    }
}

fn cut_short() -> StorageError {
    StorageError::Corrupt { path: path(), offset: 0, reason: "cut short".into() }
}

fn encoded(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in payload.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(255)) {
        out.extend([run.len() as u8, run[0]]);
    }
    out.push(0);
    out
}

/// Bytes that repeat a few times.
fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|number| (number / 3 * 7 + number / 1000) as u8).collect()
}

/// After some bytes of something else.
fn stream(encoded: &[u8], codec: &Arc<Repeats>) -> (Vec<u8>, Locator) {
    let file = [b"else", encoded].concat();
    let codec = Arc::clone(codec) as Arc<dyn StreamCodec>;
    let (length, layers) = (encoded.len() as u64, Layers::default());
    (file, Locator::Stream(Stream { file: path(), offset: 4, length, layers, codec: Some(codec), checks: None }))
}

fn place(kind: EntryKind, encoded: &[u8], codec: Repeats) -> (Place, Arc<Repeats>) {
    let codec = Arc::new(codec);
    let (file, locator) = stream(encoded, &codec);
    (Place::new(&file, vec![(kind, locator)]), codec)
}

const SHAPE: [u64; 3] = [20, 25, 60];

#[test]
fn one_decoding_feeds_every_destination() {
    let layouts = [
        (None, [1500, 60, 1], 0),
        (Some(strided(5, &[1500, 60, 1])), [1500, 60, 1], 5),
        (Some(strided(0, &[1, 20, 500])), [1, 20, 500], 0),
        (Some(strided(2, &[25, 1, 501])), [25, 1, 501], 2),
        (Some(strided(0, &[0, 60, 1])), [0, 60, 1], 0),
        (Some(strided(0, &[1, 2, 3])), [1, 2, 3], 0),
    ];
    for (layout, strides, first) in layouts {
        for (dtype, steps) in [(DType::Int32, vec![]), (DType::Complex64, vec![PostStep::SwapBytes(4)])] {
            for step in [0, 1, 13, 70_000] {
                if step == 1 && dtype == DType::Int32 {
                    continue;
                }
                let layout = match &layout {
                    None if steps.is_empty() => None,
                    layout => Some(Layout { steps: steps.clone(), ..layout.clone().unwrap_or_default() }),
                };
                let reach: u64 = SHAPE.iter().zip(strides).map(|(size, stride)| (size - 1) * stride).sum();
                let payload = payload((first + (reach + 1) * dtype.size()) as usize);
                let encoded = encoded(&payload);
                let codec = Repeats { layout, step, checked: true, ..Repeats::default() };
                let (place, codec) = place(tensor(dtype, &SHAPE), &encoded, codec);
                many(&place, dtype, |region| {
                    let mut bytes = naive(&payload, first, &strides, dtype.size(), region);
                    for step in &steps {
                        let PostStep::SwapBytes(unit) = step else { panic!("{step:?}") };
                        bytes.chunks_mut(*unit as usize).for_each(<[u8]>::reverse);
                    }
                    bytes
                });
                assert_eq!(codec.decoders.load(Ordering::Relaxed), 1);
                assert_eq!(codec.decoded.load(Ordering::Relaxed), payload.len());
                assert_eq!(place.watch.each_once(), encoded.len() as u64);
            }
        }
    }
}

/// Memory of two kinds, sinks, and nowhere, in one call.
fn many(place: &Place, dtype: DType, expected: impl Fn(&Region) -> Vec<u8>) {
    let region = |offsets: [u64; 3], sizes: [u64; 3]| Region::new(offsets, sizes).expect("region");
    let (all, part) = (region([0; 3], SHAPE), region([7, 8, 9], [10, 15, 41]));
    let length = |region: &Region| (region.numel() * dtype.size()) as usize;
    let (mut one, mut two, mut back) = (vec![1; length(&all)], vec![2; length(&part)], vec![3; length(&part)]);
    let (mut sunk, mut rest, mut none) = (Vec::new(), Vec::new(), Vec::new());
    let strides = [1, 10, 150];
    let wanted = vec![
        (place.part(0, all.clone()), Dest::Memory(ViewMut::from_bytes(dtype, all.sizes(), &mut one).expect("view"))),
        (place.part(0, part.clone()), Dest::Memory(ViewMut::from_bytes(dtype, part.sizes(), &mut two).expect("view"))),
        (
            place.part(0, part.clone()),
            Dest::Memory(ViewMut::from_strided_bytes(dtype, part.sizes(), &strides, &mut back).expect("view")),
        ),
        (place.part(0, part.clone()), Dest::Sink(Box::new(Sink(&mut sunk)))),
        (place.part(0, all.clone()), Dest::Sink(Box::new(Sink(&mut rest)))),
        (place.part(0, all.clone()), Dest::Discard),
        (place.part(0, region([3, 0, 0], [0, 25, 60])), Dest::Sink(Box::new(Sink(&mut none)))),
    ];
    let report = place.read(wanted).expect("reads");
    assert!(one == expected(&all) && rest == one);
    assert!(two == expected(&part) && sunk == two);
    assert!(naive(&back, 0, &strides, dtype.size(), &region([0; 3], [10, 15, 41])) == two);
    assert_eq!((report.verified, report.ranges), (report.needed, report.ranges));
}

#[test]
fn a_report_counts_what_is_encoded() {
    let payload = vec![9; 4 * 30_000];
    let encoded = encoded(&payload);
    for checked in [true, false] {
        let codec = Repeats { checked, ..Repeats::default() };
        let (place, _) = place(tensor(DType::Int32, &SHAPE), &encoded, codec);
        let (found, report) = place.bytes(DType::Int32, place.whole(0)).expect("reads");
        assert!(found == payload);
        let (needed, read) = (payload.len() as u64, encoded.len() as u64);
        let verified = if checked { needed } else { 0 };
        let whole_chunks = read;
        assert_eq!(report, ReadReport { needed, read, verified, overhead: 0, whole_chunks, ranges: 1 });
    }
}

#[test]
fn values_grow_as_they_come() {
    let value = ReadItem { entry: 0, what: ReadWhat::Value };
    let bytes = payload(700_000);
    let (place, codec) = place(EntryKind::Value, &encoded(&bytes), Repeats::default());
    let (mut one, mut other, mut sunk) = (vec![1, 2, 3], Vec::new(), Vec::new());
    let wanted = vec![
        (value.clone(), Dest::Value(&mut one)),
        (value.clone(), Dest::Value(&mut other)),
        (value.clone(), Dest::Sink(Box::new(Sink(&mut sunk)))),
        (value, Dest::Discard),
    ];
    let report = place.read(wanted).expect("reads");
    assert!(one == bytes && other == bytes && sunk == bytes);
    assert_eq!(report.needed, 4 * bytes.len() as u64);
    assert_eq!(codec.decoders.load(Ordering::Relaxed), 1);
}

#[test]
fn bombs_are_defused() {
    // 32 MiB and 8 times the encoded length are the most that a value may have.
    let bomb: Vec<u8> = [255, 1].repeat(150_000).into_iter().chain([0]).collect();
    let (value, codec) = place(EntryKind::Value, &bomb, Repeats::default());
    for discard in [true, false] {
        let mut buffer = Vec::new();
        let dest = if discard { Dest::Discard } else { Dest::Value(&mut buffer) };
        let outcome = value.read(vec![(ReadItem { entry: 0, what: ReadWhat::Value }, dest)]);
        assert!(matches!(outcome, Err(StorageError::Corrupt { .. })), "{outcome:?}");
        let limit = (32 << 20) + 8 * bomb.len();
        assert!(buffer.len() <= limit);
        assert!(codec.decoded.swap(0, Ordering::Relaxed) <= limit + Io::READ_BUFFER as usize);
    }
    // A chunk has just the bytes that it says.
    for (dims, step) in [([10, 10, 10], 0), ([10, 10, 10], 7), ([1, 1, 1], 0), ([255, 10, 10], 0)] {
        let codec = Repeats { step, ..Repeats::default() };
        let (chunk, codec) = place(tensor(DType::UInt8, &dims), &bomb, codec);
        let outcome = chunk.bytes(DType::UInt8, chunk.whole(0));
        assert!(matches!(outcome, Err(StorageError::Corrupt { .. })), "{dims:?}");
        assert!(codec.decoded.load(Ordering::Relaxed) <= Io::READ_BUFFER as usize);
    }
}

#[test]
fn what_is_cut_short_or_too_long_is_corrupt() {
    let kind = || tensor(DType::Int16, &[100, 100]);
    let encode = |length: usize| encoded(&payload(length));
    let whole = encode(20_000);
    let mut longer = whole.clone();
    longer.push(7);
    for (encoded, what) in [
        (encode(19_999), "an element is not whole"),
        (encode(19_998), "an element is missing"),
        (encode(20_001), "half an element too many"),
        (encode(20_002), "an element too many"),
        (encode(0), "nothing"),
        (whole[..whole.len() - 1].to_vec(), "no end"),
        (whole[..whole.len() / 2].to_vec(), "half"),
        (whole[..whole.len() / 2 + 1].to_vec(), "half and one"),
        (Vec::new(), "not even a beginning"),
        (longer, "something after the end"),
    ] {
        for layout in [None, Some(strided(0, &[1, 100])), Some(strided(0, &[100, 1]))] {
            let is_exact = layout.is_none();
            let (place, _) = place(kind(), &encoded, Repeats { layout, ..Repeats::default() });
            for dest in [Place::sunk, |place: &Place, item| place.bytes(DType::Int16, item)] {
                let outcome = dest(&place, place.whole(0));
                // A payload with strides of its own may be longer than its elements.
                let is_long = what.ends_with("many");
                assert!(
                    matches!(outcome, Err(StorageError::Corrupt { .. })) || (is_long && !is_exact && outcome.is_ok()),
                    "{what}: {:?}",
                    outcome.map(|(_, report)| report)
                );
            }
        }
    }
    let codec = Arc::new(Repeats::default());
    let (file, locator) = stream(&whole, &codec);
    let short = Place::new(&file[..file.len() - 1], vec![(kind(), locator)]);
    let outcome = short.bytes(DType::Int16, short.whole(0));
    assert!(matches!(outcome, Err(StorageError::OutOfRange { .. })));
}

#[test]
fn layouts_of_streams_are_not_believed() {
    let bytes = encoded(&payload(1000));
    let wrong = [strided(0, &[1]), strided(u64::MAX, &[0, 0]), strided(0, &[u64::MAX, 2]), strided(900, &[10, 1])];
    for layout in wrong {
        let (place, _) =
            place(tensor(DType::UInt8, &[100, 10]), &bytes, Repeats { layout: Some(layout), ..Repeats::default() });
        let outcome = place.bytes(DType::UInt8, place.whole(0));
        assert!(matches!(outcome, Err(StorageError::Corrupt { .. })), "{outcome:?}");
    }
}

/// A sink takes row-major bytes; only so many can be kept until their turn comes.
#[test]
fn too_much_to_put_in_order_is_refused() {
    let bytes = [200, 1].repeat(254_800).into_iter().chain([0]).collect::<Vec<u8>>();
    let codec = || Repeats { layout: Some(strided(0, &[1, 5000])), ..Repeats::default() };
    let (place, _) = place(tensor(DType::Complex128, &[5000, 637]), &bytes, codec());
    let outcome = place.sunk(place.whole(0));
    assert!(matches!(outcome, Err(StorageError::Destination { .. })));
    place.bytes(DType::Complex128, place.whole(0)).expect("memory takes it");
    let region = Region::new([0, 600], [5000, 20]).expect("region");
    assert_eq!(place.sunk(place.part(0, region)).expect("a part is little").0.len(), 1_600_000);
}

#[test]
fn a_destination_must_fit() {
    let (place, codec) = place(tensor(DType::UInt8, &[100, 10]), &encoded(&payload(1000)), Repeats::default());
    let place = place.verify(Verify::All);
    let mut memory = vec![0; 990];
    let view = ViewMut::from_bytes(DType::UInt8, &[99, 10], &mut memory).expect("view");
    let outcome = place.read(vec![(place.whole(0), Dest::Memory(view))]);
    assert!(matches!(outcome, Err(StorageError::Destination { .. })), "{outcome:?}");
    let outcome = place.read(vec![(place.whole(0), Dest::Value(&mut memory))]);
    assert!(matches!(outcome, Err(StorageError::Destination { .. })), "{outcome:?}");
    assert_eq!(codec.decoders.load(Ordering::Relaxed), 0);
}
