//! What does not exist is not there, and that is no accident.

use crate::conformance::Subject;
use crate::conformance::check::{Checked, Must, equal, expect_error, holds, names, path, put, read};

pub(super) async fn read_of_missing_object_fails(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    expect_error!(read(&*store, &path("data"), 0, 1).await, NotFound, "read in an empty place")?;
    put(&*store, &path("step/data"), b"data").await?;
    for missing in ["data", "step/dat", "step/data2", "step/data/below", "other/data"] {
        expect_error!(read(&*store, &path(missing), 0, 1).await, NotFound, "read of {missing}")?;
    }
    Ok(())
}

pub(super) async fn head_of_missing_object_fails(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    expect_error!(store.head(&path("data")).await, NotFound, "head in an empty place")?;
    put(&*store, &path("step/data"), b"data").await?;
    for missing in ["data", "step/dat", "step/data2", "step/data/below", "other/data"] {
        expect_error!(store.head(&path(missing)).await, NotFound, "head of {missing}")?;
    }
    Ok(())
}

pub(super) async fn size_of_missing_object_fails(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    expect_error!(store.size(&path("data")).await, NotFound, "size in an empty place")?;
    put(&*store, &path("step/data"), b"data").await?;
    let mut upload = store.create(&path("step/data2"), Some(10)).await.must("create")?;
    upload.write(b"some bytes").await.must("write")?;
    for missing in ["data", "step/dat", "step/data2", "step/data/below", "other/data"] {
        expect_error!(store.size(&path(missing)).await, NotFound, "size of {missing}")?;
    }
    upload.abort().await.must("abort")
}

pub(super) async fn whole_of_missing_object_fails(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    expect_error!(store.read_whole(&path("data"), 100).await, NotFound, "all of nothing in an empty place")?;
    put(&*store, &path("step/data"), b"data").await?;
    for missing in ["data", "step/dat", "step/data2", "step/data/below", "other/data"] {
        expect_error!(store.read_whole(&path(missing), 100).await, NotFound, "all of {missing}")?;
    }
    Ok(())
}

pub(super) async fn delete_of_missing_object_succeeds(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    store.delete(&path("step/data")).await.must("delete in an empty place")?;
    put(&*store, &path("step/data"), b"data").await?;
    for missing in ["data", "step/other", "step/data/below", "other/data"] {
        store.delete(&path(missing)).await.must(&format!("delete of the missing {missing}"))?;
    }
    store.delete(&path("step/data")).await.must("delete")?;
    store.delete(&path("step/data")).await.must("a second delete")?;
    put(&*store, &path("step/data"), b"again").await?;
    holds(&*store, &path("step/data"), b"again").await
}

pub(super) async fn list_of_empty_place_is_empty(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    equal("the list of an empty place", names(&*store, None).await?, Vec::new())?;
    equal("the list of a prefix in an empty place", names(&*store, Some(&path("a/b"))).await?, Vec::new())
}

pub(super) async fn list_of_missing_prefix_is_empty(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    put(&*store, &path("step/data"), b"data").await?;
    for missing in ["ste", "step/d", "step/data/below", "other"] {
        equal(&format!("the list of {missing}"), names(&*store, Some(&path(missing))).await?, Vec::new())?;
    }
    Ok(())
}
