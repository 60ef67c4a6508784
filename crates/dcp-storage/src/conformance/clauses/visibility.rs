//! An object appears whole, or not at all.

use std::sync::Arc;
use std::thread;

use crate::conformance::check::{
    Checked, Must, equal, expect_error, holds, lacks, names, noise, path, publish, put, read,
};
use crate::conformance::{Subject, block_on};
use crate::{Precondition, Upload};

pub(super) async fn unfinished_upload_cannot_be_read(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/data");
    let upload = begun(&*store, &path).await?;
    let result = read(&*store, &path, 0, 1).await;
    drop(upload);
    expect_error!(result, NotFound, "read of an unfinished upload")
}

pub(super) async fn unfinished_upload_has_no_head(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/data");
    let upload = begun(&*store, &path).await?;
    let result = store.head(&path).await;
    drop(upload);
    expect_error!(result, NotFound, "head of an unfinished upload")
}

pub(super) async fn unfinished_upload_is_not_listed(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    put(&*store, &path("step/other"), b"other").await?;
    let upload = begun(&*store, &path("step/data")).await?;
    let all = names(&*store, None).await?;
    let below = names(&*store, Some(&path("step"))).await?;
    drop(upload);
    equal("the list during an upload", all, vec!["step/other".to_owned()])?;
    equal("the list of its prefix during an upload", below, vec!["step/other".to_owned()])
}

pub(super) async fn finished_upload_is_whole(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/data");
    let content = noise(1, 100_000);
    let mut upload = store.create(&path, None).await.must("create")?;
    upload.write(&content[..40_000]).await.must("write")?;
    upload.write(&content[40_000..]).await.must("write")?;
    let meta = upload.finish().await.must("finish")?;
    equal("the path that finish gives", &meta.path, &path)?;
    equal("the size that finish gives", meta.size, 100_000)?;
    holds(&*store, &path, &content).await
}

pub(super) async fn published_object_is_whole(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/index");
    let content = noise(2, 10_000);
    lacks(&*store, &path).await?;
    publish(&*store, &path, &content, Precondition::Absent).await?;
    holds(&*store, &path, &content).await
}

pub(super) async fn size_is_that_of_the_head(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    for size in [0, 1, 4_097, 300_000] {
        let (uploaded, published) = (path(&format!("step/uploaded-{size}")), path(&format!("step/published-{size}")));
        put(&*store, &uploaded, &noise(9, size)).await?;
        publish(&*store, &published, &noise(10, size), Precondition::Absent).await?;
        for path in [uploaded, published] {
            let head = store.head(&path).await.must(&format!("head of {path}"))?;
            equal(&format!("the size of {path} by head"), head.size, size as u64)?;
            equal(&format!("the size of {path}"), store.size(&path).await.must("size")?, size as u64)?;
        }
    }
    Ok(())
}

pub(super) async fn republished_object_is_whole(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("index");
    // Longer, then shorter: neither a tail of the old object nor a lack of the new one goes unnoticed.
    for (seed, length) in [(3, 1_000), (4, 5_000), (5, 10), (6, 0), (7, 300)] {
        let content = noise(seed, length);
        publish(&*store, &path, &content, Precondition::None).await?;
        holds(&*store, &path, &content).await?;
    }
    Ok(())
}

pub(super) async fn reader_sees_the_old_or_the_new_object(subject: &dyn Subject) -> Checked {
    const SIZE: usize = 256 << 10;
    let store = subject.open();
    let path = path("index");
    let contents = [vec![b'x'; SIZE], vec![b'y'; SIZE]];
    publish(&*store, &path, &contents[0], Precondition::None).await?;
    thread::scope(|scope| {
        // The reader goes on as long as there is something to publish, and ends when this thread does, whatever ends it.
        let publishing = Arc::new(());
        let watch = Arc::downgrade(&publishing);
        let (reader_store, reader_path) = (&store, &path);
        let reader = scope.spawn(move || {
            while watch.strong_count() > 0 {
                let found = block_on(read(&**reader_store, reader_path, 0, SIZE)).must("read during a publish")?;
                if found.iter().any(|&byte| byte != found[0]) {
                    return Err("a read during a publish mixes the old object and the new".to_owned());
                }
            }
            Ok(())
        });
        let published = (0..40).try_for_each(|round| {
            block_on(publish(&*store, &path, &contents[round % 2], Precondition::None)).map(drop)
        });
        drop(publishing);
        published.and(reader.join().expect("the reader panicked"))
    })
}

async fn begun(store: &dyn crate::Store, path: &crate::StorePath) -> Checked<Box<dyn Upload>> {
    let mut upload = store.create(path, Some(100_000)).await.must("create")?;
    upload.write(&noise(8, 100_000)).await.must("write")?;
    Ok(upload)
}
