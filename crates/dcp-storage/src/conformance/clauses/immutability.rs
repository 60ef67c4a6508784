//! An upload never replaces an object.

use crate::conformance::Subject;
use crate::conformance::check::{Checked, Must, expect_error, holds, path, publish, put};
use crate::{ObjectMeta, Precondition, StorageError, Store, StorePath};

pub(super) async fn create_does_not_replace(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/data");
    put(&*store, &path, b"first").await?;
    expect_error!(upload(&*store, &path, b"second").await, AlreadyExists, "an upload to a name that exists")?;
    holds(&*store, &path, b"first").await
}

pub(super) async fn create_does_not_replace_a_published_object(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/index");
    publish(&*store, &path, b"published", Precondition::Absent).await?;
    expect_error!(upload(&*store, &path, b"uploaded").await, AlreadyExists, "an upload to a published name")?;
    holds(&*store, &path, b"published").await
}

pub(super) async fn finish_does_not_replace(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/data");
    let mut first = store.create(&path, None).await.must("create")?;
    let mut second = store.create(&path, None).await.must("create of a name that another upload holds")?;
    second.write(b"second to begin, first to finish").await.must("write")?;
    first.write(b"first to begin").await.must("write")?;
    second.finish().await.must("finish")?;
    expect_error!(first.finish().await, AlreadyExists, "finish after another upload took the name")?;
    holds(&*store, &path, b"second to begin, first to finish").await
}

pub(super) async fn finish_does_not_replace_a_published_object(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/data");
    let mut upload = store.create(&path, None).await.must("create")?;
    upload.write(b"uploaded").await.must("write")?;
    publish(&*store, &path, b"published", Precondition::Absent).await?;
    expect_error!(upload.finish().await, AlreadyExists, "finish after the name was published")?;
    holds(&*store, &path, b"published").await
}

/// `create` may refuse, or `finish`: either is in order.
async fn upload(store: &dyn Store, path: &StorePath, content: &[u8]) -> Result<ObjectMeta, StorageError> {
    let mut upload = store.create(path, None).await?;
    upload.write(content).await?;
    upload.finish().await
}
