//! An object that several write is there, whole, when it has been completed.

use crate::conformance::Subject;
use crate::conformance::check::{Checked, Must, equal, expect_error, holds, lacks, noise, path, put};
use crate::{Precondition, SharedUploads, StorageError, Store, StorePath, UploadId};

pub(super) async fn shared_object_appears_when_it_is_completed(subject: &dyn Subject) -> Checked {
    let (store, other) = (subject.open(), subject.open());
    let (path, content) = (path("step/shared"), noise(50, 3000));
    let id = shared(&*store)?.begin(&path, Some(3000)).await.must("begin")?;
    // Each through its own handle, from the end to the beginning.
    for (handle, range) in [(&other, 1000..3000), (&store, 0..1000)] {
        write(&**handle, &path, &id, &[(range.start as u64, &content[range])]).await?;
        lacks(&*store, &path).await?;
    }
    let meta = shared(&*other)?.complete(&path, &id, 3000, Precondition::Absent).await.must("complete")?;
    equal("the size that complete gives", meta.size, 3000)?;
    holds(&*store, &path, &content).await
}

pub(super) async fn hands_write_side_by_side(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let (path, content) = (path("shared"), noise(51, 4000));
    let id = shared(&*store)?.begin(&path, None).await.must("begin")?;
    let mut hands = Vec::new();
    for _ in 0..4 {
        hands.push(shared(&*store)?.join(&path, &id).await.must("join")?);
    }
    for (number, piece) in content.chunks(100).enumerate() {
        hands[number % 4].write_at(100 * number as u64, piece).await.must("write_at")?;
    }
    for hand in hands {
        hand.flush().await.must("flush")?;
    }
    shared(&*store)?.complete(&path, &id, 4000, Precondition::Absent).await.must("complete")?;
    holds(&*store, &path, &content).await
}

pub(super) async fn what_nobody_writes_is_zero(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("shared");
    let id = shared(&*store)?.begin(&path, None).await.must("begin")?;
    write(&*store, &path, &id, &[(10, b"in the middle")]).await?;
    shared(&*store)?.complete(&path, &id, 40, Precondition::Absent).await.must("complete")?;
    let mut content = vec![0; 40];
    content[10..23].copy_from_slice(b"in the middle");
    holds(&*store, &path, &content).await
}

pub(super) async fn more_than_was_to_be_written_is_an_error(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("shared");
    let id = shared(&*store)?.begin(&path, None).await.must("begin")?;
    write(&*store, &path, &id, &[(0, b"twelve bytes")]).await?;
    let completed = shared(&*store)?.complete(&path, &id, 11, Precondition::Absent).await;
    expect_error!(completed, LostWrite, "complete with a size that is too small")?;
    lacks(&*store, &path).await
}

pub(super) async fn completion_replaces_only_as_it_may(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/shared");
    put(&*store, &path, b"old").await?;
    let first = shared(&*store)?.begin(&path, None).await.must("begin beside an object of the name")?;
    let second = shared(&*store)?.begin(&path, None).await.must("begin beside another")?;
    write(&*store, &path, &first, &[(0, b"first")]).await?;
    write(&*store, &path, &second, &[(0, b"second")]).await?;
    let refused = shared(&*store)?.complete(&path, &first, 5, Precondition::Absent).await;
    expect_error!(refused, PreconditionFailed, "complete, if absent, over an object")?;
    holds(&*store, &path, b"old").await?;
    shared(&*store)?.complete(&path, &second, 6, Precondition::None).await.must("complete without a condition")?;
    holds(&*store, &path, b"second").await
}

pub(super) async fn aborted_shared_upload_leaves_nothing(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/shared");
    let id = shared(&*store)?.begin(&path, None).await.must("begin")?;
    write(&*store, &path, &id, &[(0, b"given up")]).await?;
    shared(&*store)?.abort(&path, &id).await.must("abort")?;
    lacks(&*store, &path).await?;
    equal("what is unfinished", store.unfinished().await.must("unfinished")?, Vec::new())?;
    let joined = shared(&*store)?.join(&path, &id).await.map(drop);
    expect_error!(joined, Io, "join of an aborted upload")?;
    shared(&*store)?.abort(&path, &id).await.must("abort of an aborted upload")?;
    put(&*store, &path, b"kept").await?;
    holds(&*store, &path, b"kept").await
}

pub(super) async fn shared_upload_is_unfinished_until_it_is_completed(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let unfinished = async || store.unfinished().await.must("unfinished");
    let (kept, discarded) = (path("step/kept"), path("step/discarded"));
    let kept_id = shared(&*store)?.begin(&kept, None).await.must("begin")?;
    let discarded_id = shared(&*store)?.begin(&discarded, None).await.must("begin")?;
    equal("what is unfinished", unfinished().await?, vec![discarded.clone(), kept.clone()])?;
    store.discard_unfinished(&discarded).await.must("discard_unfinished")?;
    let completed = shared(&*store)?.complete(&discarded, &discarded_id, 0, Precondition::Absent).await;
    expect_error!(completed, Io, "complete of a discarded upload")?;
    shared(&*store)?.complete(&kept, &kept_id, 0, Precondition::Absent).await.must("complete")?;
    equal("what is unfinished at the end", unfinished().await?, Vec::new())?;
    lacks(&*store, &discarded).await
}

fn shared(store: &dyn Store) -> Checked<&dyn SharedUploads> {
    store.shared().ok_or_else(|| StorageError::NotShared { location: store.location() }.to_string())
}

async fn write(store: &dyn Store, path: &StorePath, id: &UploadId, pieces: &[(u64, &[u8])]) -> Checked {
    let mut hand = shared(store)?.join(path, id).await.must("join")?;
    for (offset, piece) in pieces {
        hand.write_at(*offset, piece).await.must("write_at")?;
    }
    hand.flush().await.must("flush")
}
