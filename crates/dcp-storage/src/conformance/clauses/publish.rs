//! A publish decides its condition and takes effect in one step.

use std::sync::{Arc, Barrier};
use std::thread;

use crate::conformance::check::{Checked, Must, equal, expect_error, holds, lacks, path, publish, put};
use crate::conformance::{Subject, block_on};
use crate::{Precondition, StorageError, Store, StorePath, Version};

pub(super) async fn publish_if_absent_creates(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/index");
    publish(&*store, &path, b"index", Precondition::Absent).await?;
    holds(&*store, &path, b"index").await
}

pub(super) async fn publish_if_absent_does_not_replace(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/index");
    publish(&*store, &path, b"first", Precondition::Absent).await?;
    let again = store.publish(&path, b"again", Precondition::Absent).await;
    expect_error!(again, PreconditionFailed, "publish, if absent, of what exists")?;
    // Even the same content is somebody else's.
    let same = store.publish(&path, b"first", Precondition::Absent).await;
    expect_error!(same, PreconditionFailed, "publish, if absent, of the very content that exists")?;
    holds(&*store, &path, b"first").await
}

pub(super) async fn publish_if_absent_does_not_replace_an_upload(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/data");
    put(&*store, &path, b"uploaded").await?;
    let result = store.publish(&path, b"published", Precondition::Absent).await;
    expect_error!(result, PreconditionFailed, "publish, if absent, over an upload")?;
    holds(&*store, &path, b"uploaded").await
}

pub(super) async fn publish_if_absent_after_delete_creates(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("step/index");
    publish(&*store, &path, b"old", Precondition::Absent).await?;
    store.delete(&path).await.must("delete")?;
    lacks(&*store, &path).await?;
    publish(&*store, &path, b"new", Precondition::Absent).await?;
    holds(&*store, &path, b"new").await
}

pub(super) async fn racing_publishers_if_absent_have_one_winner(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    for round in 0..ROUNDS {
        race(&vec![store.clone(); RACERS], &path(&format!("claims/{round}")), &Precondition::Absent, round)?;
    }
    Ok(())
}

pub(super) async fn publish_unconditionally_creates_and_replaces(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("latest");
    for content in [&b"first"[..], b"second", b"second", b"3"] {
        publish(&*store, &path, content, Precondition::None).await?;
        holds(&*store, &path, content).await?;
    }
    Ok(())
}

pub(super) async fn publish_if_version_matches_replaces(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("index");
    let mut version = publish(&*store, &path, b"0", Precondition::Absent).await?;
    for content in [&b"one"[..], b"two", b"three"] {
        version = publish(&*store, &path, content, Precondition::Matches(version)).await?;
        holds(&*store, &path, content).await?;
    }
    Ok(())
}

pub(super) async fn publish_if_version_is_stale_fails(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("index");
    let stale = publish(&*store, &path, b"old", Precondition::Absent).await?;
    publish(&*store, &path, b"new", Precondition::Matches(stale.clone())).await?;
    let result = store.publish(&path, b"late", Precondition::Matches(stale)).await;
    expect_error!(result, PreconditionFailed, "publish on a version that was replaced")?;
    let made_up = Precondition::Matches(Version("no such version".to_owned()));
    let result = store.publish(&path, b"late", made_up).await;
    expect_error!(result, PreconditionFailed, "publish on a version that never was")?;
    holds(&*store, &path, b"new").await
}

pub(super) async fn publish_if_version_matches_fails_without_the_object(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("index");
    let version = publish(&*store, &path, b"old", Precondition::Absent).await?;
    store.delete(&path).await.must("delete")?;
    let result = store.publish(&path, b"late", Precondition::Matches(version)).await;
    expect_error!(result, PreconditionFailed, "publish on the version of a deleted object")?;
    lacks(&*store, &path).await
}

pub(super) async fn publish_replaces_an_upload_in_its_version(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("index");
    put(&*store, &path, b"uploaded").await?;
    let version = head_version(&*store, &path).await?;
    publish(&*store, &path, b"published", Precondition::Matches(version)).await?;
    holds(&*store, &path, b"published").await
}

pub(super) async fn head_gives_the_published_version(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("index");
    let published = publish(&*store, &path, b"index", Precondition::Absent).await?;
    equal("the version by head", head_version(&*store, &path).await?, published)
}

pub(super) async fn versions_tell_contents_apart(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("index");
    let mut seen = Vec::new();
    // The same length, some of the same bytes, one after another as fast as it goes: a version made
    // of size or time alone repeats.
    for content in 0..20_u8 {
        let version = publish(&*store, &path, &[content, 0, 0, 0], Precondition::None).await?;
        equal("the version by head", head_version(&*store, &path).await?, version.clone())?;
        if seen.contains(&version) {
            return Err(format!("{version:?} stands for two different contents"));
        }
        seen.push(version);
    }
    Ok(())
}

pub(super) async fn racing_publishers_of_a_version_have_one_winner(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let path = path("index");
    publish(&*store, &path, b"at the start", Precondition::Absent).await?;
    for round in 0..ROUNDS {
        let version = head_version(&*store, &path).await?;
        race(&vec![store.clone(); RACERS], &path, &Precondition::Matches(version), round)?;
    }
    Ok(())
}

/// Lets every store publish at once; exactly one may succeed, and its content must stay.
///
/// Every racer has its own content in every round: where versions are hashes of the content, a publisher of what
/// is there already changes nothing, and another may succeed after it.
pub(super) fn race(stores: &[Arc<dyn Store>], path: &StorePath, when: &Precondition, round: usize) -> Checked {
    let start = Barrier::new(stores.len());
    let content = |racer: usize| format!("the content of racer {racer} in round {round}").into_bytes();
    let results: Vec<Result<Version, StorageError>> = thread::scope(|scope| {
        let racers: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(racer, store)| {
                let (start, content) = (&start, content(racer));
                scope.spawn(move || {
                    start.wait();
                    block_on(store.publish(path, &content, when.clone()))
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("a publisher panicked")).collect()
    });
    let mut winners = Vec::new();
    for (racer, result) in results.into_iter().enumerate() {
        match result {
            Ok(_) => winners.push(racer),
            Err(StorageError::PreconditionFailed { .. }) => {}
            Err(other) => return Err(format!("a publisher that lost a race got {other:?}")),
        }
    }
    match winners[..] {
        [winner] => block_on(holds(&*stores[0], path, &content(winner))),
        _ => Err(format!("{} of {} racing publishers succeeded: {winners:?}", winners.len(), stores.len())),
    }
}

pub(super) const RACERS: usize = 6;
pub(super) const ROUNDS: usize = 8;

pub(super) async fn head_version(store: &dyn Store, path: &StorePath) -> Checked<Version> {
    let meta = store.head(path).await.must("head")?;
    meta.version.ok_or_else(|| format!("head of the small object {path} should know its version"))
}
