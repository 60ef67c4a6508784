//! Uploads keep to their budget, come to an end, and leave nothing.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dcp_s3::object_store::path::Path;
use dcp_s3::object_store::{Error, ObjectStoreExt, PutResult, Result, UploadPart};
use dcp_s3::{Bucket, Traffic};
use dcp_storage::{ReadRange, StorageError, Store, StorePath, Upload};

use crate::support::{Script, Scripted, UnderWay};

/// Counts parts, lets them take a while, and fails one.
#[derive(Debug, Default)]
struct Parts {
    bytes: UnderWay,
    begun: AtomicUsize,
    fails: Option<usize>,
    aborted: AtomicUsize,
}

impl Script for Parts {
    fn part(&self, bytes: usize, part: UploadPart) -> UploadPart {
        let fails = self.fails == Some(self.begun.fetch_add(1, Ordering::SeqCst));
        let all = self.bytes.clone();
        Box::pin(async move {
            let _under_way = all.begin(bytes);
            tokio::time::sleep(Duration::from_millis(10)).await;
            if fails { Err(failure()) } else { part.await }
        })
    }

    fn aborted(&self) {
        self.aborted.fetch_add(1, Ordering::SeqCst);
    }
}

fn failure() -> Error {
    Error::Generic { store: "scripted", source: "no".into() }
}

fn path(name: &str) -> StorePath {
    StorePath::parse(name).expect("a name")
}

const PART: usize = Traffic::SMALLEST_PART as usize;

fn traffic(parts: usize) -> Traffic {
    Traffic::default().part_size(PART as u64).parts_in_flight(parts)
}

fn content(seed: usize, length: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..65_521).map(|index| ((index * 31 + seed * 7) % 253) as u8).collect();
    block.iter().copied().cycle().take(length).collect()
}

/// More uploads than there is room for, written in turns by one task: none waits for another's writes.
#[tokio::test(start_paused = true)]
async fn many_open_uploads_share_a_budget_and_all_end() {
    let store = Scripted::new(Parts::default());
    let bucket = Bucket::over(store.clone(), None).traffic(traffic(2));
    let names: Vec<_> = (0..6).map(|index| path(&format!("data-{index}"))).collect();
    let mut uploads = Vec::new();
    for name in &names {
        // Clones have no budget of their own.
        uploads.push(bucket.clone().create(name, None).await.expect("created"));
    }
    let length = 2 * PART + 1234;
    let contents: Vec<_> = (0..names.len()).map(|seed| content(seed, length)).collect();
    for start in (0..length).step_by(1 << 20) {
        for (content, upload) in contents.iter().zip(&mut uploads) {
            upload.write(&content[start..length.min(start + (1 << 20))]).await.expect("written");
        }
    }
    for upload in uploads {
        assert_eq!(upload.finish().await.expect("finished").size, length as u64);
    }
    for (content, name) in contents.iter().zip(&names) {
        let mut buffer = vec![0; length];
        bucket.read(name, &mut [ReadRange { offset: 0, buffer: &mut buffer }]).await.expect("read");
        assert!(buffer == *content, "{name}");
    }
    // All of the room was used, and no more.
    assert_eq!(store.script.bytes.most(), 2 * PART);
    assert_eq!(store.script.begun.load(Ordering::SeqCst), 6 * 3);
}

#[tokio::test(start_paused = true)]
async fn what_fits_one_part_is_one_request() {
    let store = Scripted::new(Parts::default());
    let bucket = Bucket::over(store.clone(), None).traffic(traffic(2));
    for (name, length, parts) in [("empty", 0, 0), ("small", 10, 0), ("full", PART, 0), ("more", PART + 1, 2)] {
        let before = store.script.begun.load(Ordering::SeqCst);
        let mut upload = bucket.create(&path(name), None).await.expect("created");
        upload.write(&content(1, length)).await.expect("written");
        upload.finish().await.expect("finished");
        assert_eq!(store.script.begun.load(Ordering::SeqCst) - before, parts, "{name}");
        assert_eq!(bucket.size(&path(name)).await.expect("there"), length as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn failed_part_fails_the_upload_and_nothing_stays() {
    for fails in 0..3 {
        let store = Scripted::new(Parts { fails: Some(fails), ..Parts::default() });
        let bucket = Bucket::over(store.clone(), None).traffic(traffic(1));
        let mut upload = bucket.create(&path("data"), None).await.expect("created");
        let written = upload.write(&content(1, 3 * PART)).await;
        let finished = upload.finish().await;
        let failed = written.is_err() || finished.is_err();
        assert!(failed, "{fails}");
        assert!(matches!(finished, Err(StorageError::Io { .. })), "{finished:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(store.script.aborted.load(Ordering::SeqCst), 1, "{fails}");
        assert_eq!(store.script.bytes.now(), 0);
        assert!(matches!(bucket.head(&path("data")).await, Err(StorageError::NotFound { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn upload_that_is_dropped_or_aborted_is_aborted_once() {
    for aborts in [false, true] {
        let store = Scripted::new(Parts::default());
        let bucket = Bucket::over(store.clone(), None).traffic(traffic(4));
        let mut upload = bucket.create(&path("data"), None).await.expect("created");
        upload.write(&content(1, 2 * PART + 1)).await.expect("written");
        if aborts {
            upload.abort().await.expect("aborted");
        } else {
            drop(upload);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(store.script.aborted.load(Ordering::SeqCst), 1);
        // All of the room is there again.
        let mut upload: Box<dyn Upload> = bucket.create(&path("data"), None).await.expect("created");
        upload.write(&content(2, 5 * PART)).await.expect("written");
        upload.finish().await.expect("finished");
    }
}

/// With room for one part there is one on its way and one that waits, and no third is gathered.
#[tokio::test(start_paused = true)]
async fn who_writes_is_one_part_ahead_and_no_more() {
    let store = Scripted::new(Parts::default());
    let bucket = Bucket::over(store.clone(), None).traffic(traffic(1));
    let mut upload = bucket.create(&path("data"), None).await.expect("created");
    let start = tokio::time::Instant::now();
    upload.write(&content(1, 2 * PART)).await.expect("written");
    assert_eq!(start.elapsed(), Duration::ZERO);
    upload.write(&[0]).await.expect("written");
    assert!(start.elapsed() >= Duration::from_millis(10), "the first part has been sent by now");
    assert_eq!(store.script.begun.load(Ordering::SeqCst), 2);
    upload.finish().await.expect("finished");
}

/// A write whose future is dropped half way has not happened: the object cannot be finished.
#[tokio::test(start_paused = true)]
async fn write_that_is_given_up_tears_the_upload() {
    let store = Scripted::new(Parts::default());
    let bucket = Bucket::over(store.clone(), None).traffic(traffic(1));
    let mut upload = bucket.create(&path("data"), None).await.expect("created");
    let data = content(1, 4 * PART);
    let given_up = tokio::time::timeout(Duration::from_millis(1), upload.write(&data)).await;
    assert!(given_up.is_err());
    assert!(matches!(upload.finish().await, Err(StorageError::Io { operation: "finish", .. })));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.script.aborted.load(Ordering::SeqCst), 1);
}

/// The store does what it is asked, and the answer is lost.
#[derive(Debug)]
struct LostAnswers;

impl Script for LostAnswers {
    fn put(&self, answer: Result<PutResult>) -> Result<PutResult> {
        answer.and(Err(failure()))
    }
}

#[tokio::test]
async fn lost_answers_are_resolved_by_reading_back() {
    use dcp_storage::Precondition;

    let store = Scripted::new(LostAnswers);
    let bucket = Bucket::over(store.clone(), None);
    let version = bucket.publish(&path("index"), b"one", Precondition::Absent).await.expect("published");
    assert_eq!(bucket.head(&path("index")).await.expect("there").version, Some(version.clone()));
    let next = bucket.publish(&path("index"), b"two", Precondition::Matches(version.clone())).await.expect("published");
    assert_ne!(next, version);
    let late = bucket.publish(&path("index"), b"late", Precondition::Matches(version)).await;
    assert!(matches!(late, Err(StorageError::PreconditionFailed { .. })), "{late:?}");
    let mut upload = bucket.create(&path("data"), None).await.expect("created");
    upload.write(b"content").await.expect("written");
    upload.finish().await.expect("finished");
    let stored = store.inner.get(&Path::from("data")).await.expect("there").bytes().await.expect("read");
    assert_eq!(&stored[..], b"content");
}
