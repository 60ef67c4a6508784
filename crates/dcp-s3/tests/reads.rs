//! A read gives the right bytes or an error, whatever becomes of the answers.

mod support;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dcp_s3::object_store::path::Path;
use dcp_s3::object_store::{Error, ObjectStoreExt, Result};
use dcp_s3::{Bucket, Traffic};
use dcp_storage::{ReadRange, StorageError, Store, StorePath, Version};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use proptest::prelude::*;

use crate::support::{Body, Script, Scripted, UnderWay};

/// What happens to the bodies of answers, one after the other; those after them are sound.
#[derive(Debug)]
struct Bodies {
    faults: Mutex<Vec<Fault>>,
    asked: Mutex<Vec<Range<u64>>>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// It ends after so many bytes, as if that were all.
    Cut(usize),
    /// The connection is reset after so many bytes.
    Reset(usize),
    /// Nothing more arrives after so many bytes.
    Still(usize),
    /// There are so many bytes too much.
    Long(usize),
}

impl Bodies {
    fn with(faults: &[Fault]) -> Self {
        Self { faults: Mutex::new(faults.iter().rev().copied().collect()), asked: Mutex::default() }
    }
}

impl Script for Bodies {
    fn body(&self, range: Range<u64>, body: Body) -> Body {
        self.asked.lock().expect("sound").push(range);
        let fault = self.faults.lock().expect("sound").pop().unwrap_or(Fault::None);
        match fault {
            Fault::None => body,
            Fault::Cut(at) => stream::once(cut(body, at)).boxed(),
            Fault::Reset(at) => stream::once(cut(body, at)).chain(stream::once(async { Err(reset()) })).boxed(),
            Fault::Still(at) => stream::once(cut(body, at)).chain(stream::pending()).boxed(),
            Fault::Long(by) => body.chain(stream::once(async move { Ok(Bytes::from(vec![7; by])) })).boxed(),
        }
    }
}

async fn cut(body: Body, at: usize) -> Result<Bytes> {
    let pieces: Vec<_> = body.collect().await;
    let all: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.expect("memory")).collect();
    Ok(Bytes::copy_from_slice(&all[..at.min(all.len())]))
}

fn reset() -> Error {
    Error::Generic { store: "scripted", source: Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)) }
}

const SIZE: usize = 300_000;

fn object() -> Vec<u8> {
    (0..SIZE).map(|index| (index * 7 % 251) as u8).collect()
}

fn path() -> StorePath {
    StorePath::parse("data").expect("a name")
}

fn small() -> Traffic {
    Traffic::default().read_size(64 << 10).attempts(3)
}

/// What came of a read.
struct Outcome {
    buffers: Vec<Vec<u8>>,
    result: std::result::Result<(), StorageError>,
    asked: Vec<Range<u64>>,
}

/// Reads ranges, with these faults on the way. Time passes by itself.
fn read(faults: &[Fault], ranges: &[(usize, usize)]) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let store = Scripted::new(Bodies::with(faults));
        store.inner.put(&Path::from("data"), object().into()).await.expect("put");
        let mut buffers: Vec<_> = ranges.iter().map(|&(_, length)| vec![0xa5; length]).collect();
        let mut wanted: Vec<_> = ranges
            .iter()
            .zip(&mut buffers)
            .map(|(&(offset, _), buffer)| ReadRange { offset: offset as u64, buffer })
            .collect();
        let bucket = Bucket::over(store.clone(), None).traffic(small());
        let result = bucket.read(&path(), &mut wanted).await;
        let asked = store.script.asked.lock().expect("sound").clone();
        Outcome { buffers, result, asked }
    })
}

fn faults() -> impl Strategy<Value = Fault> {
    let at = 0..70_000_usize;
    prop_oneof![
        Just(Fault::None),
        at.clone().prop_map(Fault::Cut),
        at.clone().prop_map(Fault::Reset),
        at.prop_map(Fault::Still),
        (1..10_usize).prop_map(Fault::Long),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_are_right_or_there_is_an_error(
        faults in proptest::collection::vec(faults(), 0..6),
        ranges in proptest::collection::vec((0..SIZE - 150_000, 1..150_000_usize), 1..5),
    ) {
        let Outcome { buffers, result, .. } = read(&faults, &ranges);
        match result {
            Ok(()) => {
                let object = object();
                for (&(offset, length), buffer) in ranges.iter().zip(&buffers) {
                    prop_assert_eq!(&object[offset..offset + length], &buffer[..]);
                }
            }
            Err(StorageError::GaveUp { attempts: 3, .. } | StorageError::Io { .. }) => {}
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }
}

#[test]
fn answer_that_breaks_off_is_asked_for_from_there_on() {
    for fault in [Fault::Cut(1000), Fault::Reset(1000), Fault::Still(1000)] {
        let Outcome { buffers, result, asked } = read(&[fault], &[(500, 4000)]);
        result.expect("read");
        assert_eq!(buffers[0], object()[500..4500]);
        assert_eq!(asked, [500..4500, 1500..4500], "{fault:?}");
    }
}

#[test]
fn answer_that_breaks_off_again_and_again_is_given_up() {
    for fault in [Fault::Cut(10), Fault::Reset(10), Fault::Still(10)] {
        let Outcome { result, asked, .. } = read(&[fault; 5], &[(0, 4000)]);
        assert!(result.as_ref().is_err_and(StorageError::is_retryable), "{fault:?}");
        match result {
            Err(StorageError::GaveUp { operation: "read", path, attempts: 3, .. }) => assert_eq!(path, "data"),
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(asked.len(), 3);
    }
}

#[test]
fn answer_that_is_too_long_is_an_error() {
    let Outcome { result, .. } = read(&[Fault::Long(1)], &[(0, 4000)]);
    match result {
        Err(StorageError::Io { operation: "read", source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::InvalidData);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn ranges_that_touch_are_one_request_and_long_ones_are_several() {
    let Outcome { result, asked, .. } = read(&[], &[(4900, 10), (0, 4900), (100_000, 10)]);
    result.expect("read");
    assert_eq!(asked, [0..4910, 100_000..100_010]);
    let Outcome { result, asked, .. } = read(&[], &[(0, 3 * 65_536)]);
    result.expect("read");
    assert_eq!(asked, [0..65_536, 65_536..131_072, 131_072..196_608]);
}

/// Replaces the object before the request of a number is answered.
#[derive(Debug)]
struct Replacing {
    at: Vec<usize>,
    asked: AtomicUsize,
    store: Mutex<Option<std::sync::Arc<dcp_s3::object_store::memory::InMemory>>>,
}

impl Script for Replacing {
    fn before_get(&self, _: &Range<u64>) -> BoxFuture<'static, Result<()>> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let store = self.store.lock().expect("sound").clone().filter(|_| self.at.contains(&number));
        Box::pin(async move {
            if let Some(store) = store {
                store.put(&Path::from("data"), vec![number as u8; SIZE].into()).await?;
            }
            Ok(())
        })
    }
}

/// Does something while the object is being replaced.
fn replaced<T>(at: Vec<usize>, work: impl AsyncFnOnce(Bucket) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let store = Scripted::new(Replacing { at, asked: AtomicUsize::new(0), store: Mutex::default() });
        *store.script.store.lock().expect("sound") = Some(store.inner.clone());
        store.inner.put(&Path::from("data"), vec![0xee; SIZE].into()).await.expect("put");
        work(Bucket::over(store, None).traffic(small())).await
    })
}

async fn read_in_part(bucket: Bucket) -> std::result::Result<Vec<u8>, StorageError> {
    let mut buffer = vec![0; 200_000];
    bucket.read(&path(), &mut [ReadRange { offset: 0, buffer: &mut buffer }]).await?;
    Ok(buffer)
}

#[test]
fn range_is_of_one_state() {
    // After the first answer to this read, and again after the first one to the next.
    for at in [vec![0], vec![1], vec![0, 4], vec![2, 5]] {
        let buffer = replaced(at.clone(), read_in_part).expect("read");
        assert!(buffer.iter().all(|&byte| byte == buffer[0]), "{at:?}");
    }
}

#[test]
fn object_that_never_stays_the_same_is_an_error() {
    let result = replaced((0..1000).collect(), read_in_part);
    assert!(matches!(result, Err(StorageError::Overwritten { .. })), "{result:?}");
}

/// What came of reading an object whole.
struct Whole {
    result: std::result::Result<(Bytes, Version), StorageError>,
    asked: Vec<Range<u64>>,
}

/// Reads an object of this content whole, with these faults on the way. Time passes by itself.
fn read_whole(content: Vec<u8>, longest: u64, faults: &[Fault], traffic: Traffic) -> Whole {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let store = Scripted::new(Bodies::with(faults));
        store.inner.put(&Path::from("data"), content.into()).await.expect("put");
        let bucket = Bucket::over(store.clone(), None).traffic(traffic);
        let result = bucket.read_whole(&path(), longest).await;
        if let Ok((_, version)) = &result {
            assert_eq!(Some(version), bucket.head(&path()).await.expect("it is there").version.as_ref());
        }
        let asked = store.script.asked.lock().expect("sound").clone();
        Whole { result, asked }
    })
}

#[test]
fn small_object_is_read_whole_at_once_and_a_large_one_with_several_requests() {
    for traffic in [Traffic::default(), Traffic::default().read_size(u64::MAX)] {
        let Whole { result, asked } = read_whole(object(), 1 << 20, &[], traffic);
        assert_eq!(result.expect("read").0, object());
        assert_eq!(asked.len(), 1, "{asked:?}");
    }
    let Whole { result, asked } = read_whole(object(), 1 << 20, &[], small());
    assert_eq!(result.expect("read").0, object());
    assert_eq!(asked.len(), SIZE.div_ceil(64 << 10), "{asked:?}");
}

#[test]
fn empty_object_is_read_whole() {
    assert_eq!(read_whole(Vec::new(), 0, &[], small()).result.expect("read").0, Bytes::new());
}

#[test]
fn object_that_is_too_long_is_not_read_whole() {
    let result = read_whole(object(), SIZE as u64 - 1, &[], small()).result;
    assert!(matches!(result, Err(StorageError::Corrupt { .. })), "{result:?}");
}

#[test]
fn object_is_read_whole_though_answers_break_off() {
    for fault in [Fault::Cut(1000), Fault::Reset(1000), Fault::Still(1000)] {
        let result = read_whole(object(), SIZE as u64, &[fault, Fault::None, fault], small()).result;
        assert_eq!(result.expect("read").0, object(), "{fault:?}");
    }
}

#[test]
fn whole_object_is_of_one_state() {
    for at in [vec![0], vec![1], vec![4], vec![0, 2], vec![2, 7]] {
        let whole = async |bucket: &Bucket| bucket.read_whole(&path(), SIZE as u64).await;
        let read_twice = async |bucket: Bucket| Ok::<_, StorageError>([whole(&bucket).await?, whole(&bucket).await?]);
        let [(content, version), (content_now, version_now)] = replaced(at.clone(), read_twice).expect("read");
        assert_eq!(content.len(), SIZE);
        assert!(content.iter().all(|&byte| byte == content[0]), "{at:?}");
        // Which may have been replaced since.
        assert_eq!(content == content_now, version == version_now, "{at:?}");
    }
    let result = replaced((0..1000).collect(), async |bucket: Bucket| bucket.read_whole(&path(), SIZE as u64).await);
    assert!(matches!(result, Err(StorageError::Overwritten { .. })), "{result:?}");
}

/// Counts the requests that are under way.
#[derive(Debug, Default)]
struct Counted(UnderWay);

impl Script for Counted {
    fn body(&self, _: Range<u64>, body: Body) -> Body {
        let begun = self.0.begin(1);
        body.chain(stream::once(async move {
            // Others get their turn while this one is under way.
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(begun);
            Ok(Bytes::new())
        }))
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn clones_share_how_many_requests_are_under_way() {
    let store = Scripted::new(Counted::default());
    store.inner.put(&Path::from("data"), object().into()).await.expect("put");
    let bucket = Bucket::over(store.clone(), None).traffic(small().reads_in_flight(3));
    let read = |bucket: Bucket| async move {
        let mut buffer = vec![0; SIZE];
        bucket.read(&path(), &mut [ReadRange { offset: 0, buffer: &mut buffer }]).await.expect("read");
        assert_eq!(buffer, object());
    };
    futures_util::future::join_all((0..4).map(|_| read(bucket.clone()))).await;
    assert_eq!(store.script.0.most(), 3);
    assert_eq!(store.script.0.now(), 0);
}
