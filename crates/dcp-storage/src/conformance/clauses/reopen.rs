//! A second handle on the same place, as another process has it, sees and decides the same.

use std::sync::Arc;

use super::publish::{RACERS, ROUNDS, head_version, race};
use crate::conformance::Subject;
use crate::conformance::check::{Checked, Must, equal, expect_error, holds, lacks, noise, path, publish, put};
use crate::{Precondition, Store};

pub(super) async fn other_handle_sees_finished_upload(subject: &dyn Subject) -> Checked {
    let (path, content) = (path("step/data"), noise(51, 10_000));
    let store = subject.open();
    put(&*store, &path, &content).await?;
    holds(&*subject.open(), &path, &content).await?;
    drop(store);
    holds(&*subject.open(), &path, &content).await
}

pub(super) async fn other_handle_sees_published_object(subject: &dyn Subject) -> Checked {
    let path = path("step/index");
    let store = subject.open();
    publish(&*store, &path, b"index", Precondition::Absent).await?;
    holds(&*subject.open(), &path, b"index").await?;
    drop(store);
    holds(&*subject.open(), &path, b"index").await
}

pub(super) async fn other_handle_sees_delete(subject: &dyn Subject) -> Checked {
    let path = path("step/data");
    let (store, other) = (subject.open(), subject.open());
    put(&*store, &path, b"data").await?;
    holds(&*other, &path, b"data").await?;
    store.delete(&path).await.must("delete")?;
    lacks(&*other, &path).await?;
    lacks(&*subject.open(), &path).await
}

pub(super) async fn other_handle_does_not_see_unfinished_upload(subject: &dyn Subject) -> Checked {
    let path = path("step/data");
    let store = subject.open();
    let mut upload = store.create(&path, None).await.must("create")?;
    upload.write(&noise(52, 10_000)).await.must("write")?;
    lacks(&*subject.open(), &path).await?;
    upload.abort().await.must("abort")?;
    lacks(&*subject.open(), &path).await
}

pub(super) async fn other_handle_cannot_replace(subject: &dyn Subject) -> Checked {
    let path = path("step/data");
    let (store, other) = (subject.open(), subject.open());
    let mut late = other.create(&path, None).await.must("create")?;
    late.write(b"late").await.must("write")?;
    put(&*store, &path, b"first").await?;
    expect_error!(late.finish().await, AlreadyExists, "finish after another handle took the name")?;
    let result = other.publish(&path, b"late", Precondition::Absent).await;
    expect_error!(result, PreconditionFailed, "publish, if absent, of another handle's object")?;
    holds(&*other, &path, b"first").await
}

pub(super) async fn other_handle_gives_the_same_version(subject: &dyn Subject) -> Checked {
    let path = path("index");
    let version = publish(&*subject.open(), &path, b"index", Precondition::Absent).await?;
    equal("the version by another handle", head_version(&*subject.open(), &path).await?, version)
}

pub(super) async fn racing_handles_have_one_winner(subject: &dyn Subject) -> Checked {
    let handles: Vec<Arc<dyn Store>> = (0..RACERS).map(|_| subject.open()).collect();
    for round in 0..ROUNDS {
        race(&handles, &path(&format!("claims/{round}")), &Precondition::Absent, round)?;
    }
    Ok(())
}
