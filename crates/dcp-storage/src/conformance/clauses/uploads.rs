//! What is written is what is there; what is given up leaves nothing.

use crate::conformance::Subject;
use crate::conformance::check::{Checked, Must, equal, expect_error, holds, lacks, names, noise, path, publish, put};
use crate::{Precondition, Store};

pub(super) async fn abort_leaves_nothing(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    for content in [&b""[..], b"some bytes"] {
        let mut upload = store.create(&path("step/data"), Some(10)).await.must("create")?;
        upload.write(content).await.must("write")?;
        upload.abort().await.must("abort")?;
        nothing_left(&*store).await?;
    }
    Ok(())
}

pub(super) async fn drop_leaves_nothing(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    drop(store.create(&path("step/data"), None).await.must("create")?);
    nothing_left(&*store).await?;
    let mut upload = store.create(&path("step/data"), Some(5)).await.must("create")?;
    upload.write(b"some bytes").await.must("write")?;
    drop(upload);
    nothing_left(&*store).await
}

pub(super) async fn cancelled_name_can_be_created_again(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let (aborted, dropped) = (path("aborted"), path("dropped"));
    for path in [&aborted, &dropped] {
        let mut upload = store.create(path, None).await.must("create")?;
        upload.write(b"given up").await.must("write")?;
        if *path == aborted {
            upload.abort().await.must("abort")?;
        } else {
            drop(upload);
        }
        put(&*store, path, b"kept").await?;
        holds(&*store, path, b"kept").await?;
    }
    Ok(())
}

pub(super) async fn deleted_name_can_be_created_again(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/data");
    put(&*store, &path, b"old and longer").await?;
    store.delete(&path).await.must("delete")?;
    lacks(&*store, &path).await?;
    put(&*store, &path, b"new").await?;
    holds(&*store, &path, b"new").await
}

pub(super) async fn writes_are_appended(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("data");
    let mut upload = store.create(&path, None).await.must("create")?;
    for part in [&b"one "[..], b"", b"two ", b"three", b""] {
        upload.write(part).await.must("write")?;
    }
    upload.finish().await.must("finish")?;
    holds(&*store, &path, b"one two three").await
}

pub(super) async fn large_object_in_odd_sized_writes(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/large");
    // Beyond the part sizes that object stores like, in pieces that fit nothing.
    let content = noise(31, (13 << 20) + 77);
    let mut upload = store.create(&path, Some(content.len() as u64)).await.must("create")?;
    let mut rest = &content[..];
    for size in [1, 4095, 65_537, 3 << 20, 5 << 20, 7, 1_234_567].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (part, tail) = rest.split_at(rest.len().min(size));
        upload.write(part).await.must("write")?;
        rest = tail;
    }
    let meta = upload.finish().await.must("finish")?;
    equal("the size that finish gives", meta.size, content.len() as u64)?;
    holds(&*store, &path, &content).await
}

pub(super) async fn empty_object_exists(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/empty");
    let upload = store.create(&path, Some(0)).await.must("create")?;
    upload.finish().await.must("finish without a write")?;
    holds(&*store, &path, b"").await?;
    expect_error!(store.create(&path, None).await.map(drop), AlreadyExists, "create over an empty object").or(
        // Or at finish, like any other.
        match store.create(&path, None).await {
            Ok(upload) => expect_error!(upload.finish().await, AlreadyExists, "finish over an empty object"),
            Err(error) => Err(format!("create over an empty object gave {error:?}")),
        },
    )
}

pub(super) async fn empty_published_object_exists(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("claim");
    publish(&*store, &path, b"", Precondition::Absent).await?;
    holds(&*store, &path, b"").await?;
    let again = store.publish(&path, b"", Precondition::Absent).await;
    expect_error!(again, PreconditionFailed, "publish, if absent, over an empty object")
}

pub(super) async fn expected_size_is_only_a_hint(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let content = noise(32, 50_000);
    for (index, hint) in [None, Some(0), Some(10), Some(50_000), Some(1_000_000)].into_iter().enumerate() {
        let path = path(&format!("data-{index}"));
        let mut upload = store.create(&path, hint).await.must("create")?;
        upload.write(&content).await.must("write")?;
        upload.finish().await.must("finish")?;
        holds(&*store, &path, &content).await?;
    }
    Ok(())
}

pub(super) async fn uploads_side_by_side_do_not_mix(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let contents: Vec<_> = (0..5).map(|index| noise(40 + index, 9_000)).collect();
    let mut uploads = Vec::new();
    for index in 0..contents.len() {
        uploads.push(store.create(&path(&format!("step/{index}")), None).await.must("create")?);
    }
    for part in 0..3 {
        for (upload, content) in uploads.iter_mut().zip(&contents) {
            upload.write(&content[part * 3000..][..3000]).await.must("write")?;
        }
    }
    for upload in uploads.into_iter().rev() {
        upload.finish().await.must("finish")?;
    }
    for (index, content) in contents.iter().enumerate() {
        holds(&*store, &path(&format!("step/{index}")), content).await?;
    }
    Ok(())
}

async fn nothing_left(store: &dyn Store) -> Checked {
    lacks(store, &path("step/data")).await?;
    equal("the list after a cancelled upload", names(store, None).await?, Vec::new())?;
    equal("the list of its prefix", names(store, Some(&path("step"))).await?, Vec::new())
}
