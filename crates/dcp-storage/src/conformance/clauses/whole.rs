//! All of a small object, as it is at one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::conformance::check::{Checked, Must, equal, expect_error, holds, noise, path, publish, put, same_bytes};
use crate::conformance::{Subject, block_on};
use crate::{Precondition, StorageError};

pub(super) async fn whole_object_comes_with_its_version(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    for size in [0, 1, 4_097, 300_000] {
        let content = noise(12, size);
        let (uploaded, published) = (path(&format!("step/uploaded-{size}")), path(&format!("step/published-{size}")));
        put(&*store, &uploaded, &content).await?;
        publish(&*store, &published, &content, Precondition::Absent).await?;
        for path in [uploaded, published] {
            let (found, version) = store.read_whole(&path, size as u64).await.must(&format!("all of {path}"))?;
            same_bytes(&format!("all of {path}"), &found, &content)?;
            if let Some(known) = store.head(&path).await.must(&format!("head of {path}"))?.version {
                equal(&format!("the version of {path}"), version, known)?;
            }
        }
    }
    Ok(())
}

pub(super) async fn whole_object_that_is_too_long_fails(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/index");
    publish(&*store, &path, &noise(13, 1_000), Precondition::Absent).await?;
    for longest in [0, 1, 999] {
        expect_error!(store.read_whole(&path, longest).await, Corrupt, "all of an object, if it has {longest} bytes")?;
    }
    Ok(())
}

pub(super) async fn whole_object_is_replaced_in_its_version(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let (uploaded, published) = (path("step/uploaded"), path("step/published"));
    put(&*store, &uploaded, &noise(17, 300)).await?;
    publish(&*store, &published, &noise(18, 300), Precondition::Absent).await?;
    for path in [uploaded, published] {
        let (_, version) = store.read_whole(&path, 300).await.must(&format!("all of {path}"))?;
        publish(&*store, &path, &noise(19, 200), Precondition::Matches(version)).await?;
        holds(&*store, &path, &noise(19, 200)).await?;
    }
    Ok(())
}

pub(super) async fn whole_object_is_of_one_state(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("index");
    let contents = [noise(14, 70_001), noise(15, 2_000), noise(16, 70_001)];
    let mut states = vec![(0, publish(&*store, &path, &contents[0], Precondition::None).await?)];
    let reads = AtomicUsize::new(0);
    let seen = thread::scope(|scope| {
        // The reader goes on as long as there is something to publish, and ends when this thread does, whatever ends it.
        let publishing = Arc::new(());
        let watch = Arc::downgrade(&publishing);
        let (reader_store, reader_path, contents, reads) = (&store, &path, &contents, &reads);
        let reader = scope.spawn(move || {
            let mut seen = Vec::new();
            while watch.strong_count() > 0 {
                let found = block_on(reader_store.read_whole(reader_path, 100_000));
                reads.fetch_add(1, Ordering::Relaxed);
                match found {
                    // So much happens to the object.
                    Err(StorageError::Overwritten { .. }) => {}
                    found => {
                        let (content, version) = found.must("all of an object that is being replaced")?;
                        let which = contents.iter().position(|known| *known == content);
                        let which = which.ok_or("all of an object that is being replaced is none of its states")?;
                        seen.push((which, version));
                    }
                }
            }
            Ok::<_, String>(seen)
        });
        // Often, and until the reader has been there several times.
        for which in (0..contents.len()).cycle() {
            if states.len() >= 40 && (reads.load(Ordering::Relaxed) >= 10 || reader.is_finished()) {
                break;
            }
            states.push((which, block_on(publish(&*store, &path, &contents[which], Precondition::None))?));
        }
        drop(publishing);
        reader.join().expect("the reader panicked")
    })?;
    // Now that nobody replaces it, it can be had.
    let (content, version) = store.read_whole(&path, 100_000).await.must("all of an object that was replaced")?;
    let last = states.last().map(|(which, _)| *which);
    equal("the state that was published last", contents.iter().position(|known| *known == content), last)?;
    let mut seen = seen;
    seen.extend(last.zip(Some(version)));
    let wrong = seen.iter().find(|state| !states.contains(state));
    wrong
        .map_or(Ok(()), |(_, version)| Err(format!("a whole object comes with {version:?}, which is of another state")))
}
