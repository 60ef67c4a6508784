//! Uploads that came to no end can be found and removed, and nothing else is.

use std::thread;
use std::time::{Duration, Instant};

use crate::conformance::Subject;
use crate::conformance::check::{Checked, Must, equal, expect_error, holds, lacks, noise, path, put};
use crate::{Store, StorePath, Upload};

pub(super) async fn upload_under_way_is_unfinished(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    equal("what is unfinished in an empty place", unfinished(&*store).await?, Vec::new())?;
    put(&*store, &path("step/other"), b"other").await?;
    let begun = Begun::new(&*store, &path("step/data")).await?;
    equal("what is unfinished during an upload", unfinished(&*store).await?, vec!["step/data".to_owned()])?;
    begun.upload.abort().await.must("abort")
}

pub(super) async fn finished_upload_is_no_longer_unfinished(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let begun = Begun::new(&*store, &path("step/data")).await?;
    begun.upload.finish().await.must("finish")?;
    equal("what is unfinished after finish", unfinished(&*store).await?, Vec::new())
}

pub(super) async fn aborted_upload_is_no_longer_unfinished(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let begun = Begun::new(&*store, &path("step/data")).await?;
    begun.upload.abort().await.must("abort")?;
    equal("what is unfinished after abort", unfinished(&*store).await?, Vec::new())
}

/// Who drops an upload cannot wait, so the store may take a moment.
pub(super) async fn dropped_upload_is_soon_no_longer_unfinished(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    drop(Begun::new(&*store, &path("step/data")).await?);
    let patience = Instant::now() + Duration::from_secs(3);
    loop {
        match unfinished(&*store).await? {
            none if none.is_empty() => return Ok(()),
            left if Instant::now() > patience => {
                return equal("what is unfinished 3 seconds after a drop", left, Vec::new());
            }
            _ => thread::sleep(Duration::from_millis(10)),
        }
    }
}

pub(super) async fn unfinished_is_sorted_and_names_each_once(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let mut uploads = Vec::new();
    // '-' sorts before '/', '0' after it: walking directory by directory gives another order.
    for name in ["b", "a/c", "a0", "a-b"] {
        let begun = Begun::new(&*store, &path(name)).await?;
        uploads.push(begun.another(&*store, &path(name)).await?);
        uploads.push(begun);
    }
    equal("what is unfinished", unfinished(&*store).await?, ["a-b", "a/c", "a0", "b"].map(str::to_owned).into())?;
    for Begun { upload, .. } in uploads {
        upload.abort().await.must("abort")?;
    }
    Ok(())
}

pub(super) async fn discard_removes_all_uploads_of_one_object(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let data = path("step/data");
    let first = Begun::new(&*store, &data).await?;
    let second = first.another(&*store, &data).await?;
    let mut others = Vec::new();
    for name in ["step/data2", "step/dat", "data", "step/data/below"] {
        // A store made of directories can hold the last one: there is no object above it yet.
        others.push((name, Begun::new(&*store, &path(name)).await?));
    }
    store.discard_unfinished(&data).await.must("discard")?;
    let left = ["data", "step/dat", "step/data/below", "step/data2"].map(str::to_owned).into();
    equal("what is unfinished after the discard of step/data", unfinished(&*store).await?, left)?;
    drop((first, second));
    for (name, other) in others {
        let content = other.finish().await.map_err(|what| format!("{name}: {what}"))?;
        holds(&*store, &path(name), &content).await?;
    }
    Ok(())
}

pub(super) async fn discarded_upload_cannot_be_finished(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let data = path("step/data");
    for more in [&b""[..], b"and more"] {
        let mut begun = Begun::new(&*store, &data).await?;
        store.discard_unfinished(&data).await.must("discard")?;
        // Whether this fails already is the store's choice.
        drop(begun.upload.write(more).await);
        if let Ok(meta) = begun.upload.finish().await {
            return Err(format!("finish of a discarded upload should fail, but gave {meta:?}"));
        }
        lacks(&*store, &data).await?;
        equal("what is unfinished after that", unfinished(&*store).await?, Vec::new())?;
    }
    Ok(())
}

pub(super) async fn discarded_upload_can_be_aborted(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let data = path("step/data");
    let begun = Begun::new(&*store, &data).await?;
    store.discard_unfinished(&data).await.must("discard")?;
    begun.upload.abort().await.must("abort of a discarded upload")?;
    lacks(&*store, &data).await
}

pub(super) async fn discarded_name_can_be_created_again(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let data = path("step/data");
    let old = Begun::new(&*store, &data).await?;
    store.discard_unfinished(&data).await.must("discard")?;
    let new = Begun::new(&*store, &data).await?;
    drop(old);
    let content = new.finish().await?;
    holds(&*store, &data, &content).await
}

pub(super) async fn discard_spares_the_finished_object(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    let data = path("step/data");
    let late = Begun::new(&*store, &data).await?;
    put(&*store, &data, b"finished").await?;
    store.discard_unfinished(&data).await.must("discard")?;
    equal("what is unfinished after the discard", unfinished(&*store).await?, Vec::new())?;
    holds(&*store, &data, b"finished").await?;
    drop(late);
    store.discard_unfinished(&data).await.must("discard without an upload")?;
    holds(&*store, &data, b"finished").await
}

pub(super) async fn discard_of_nothing_succeeds(subject: &dyn Subject) -> Checked {
    let store = subject.open();
    store.discard_unfinished(&path("step/data")).await.must("discard in an empty place")?;
    put(&*store, &path("step/data"), b"data").await?;
    for missing in ["data", "step/other", "step/data/below", "other/data"] {
        store.discard_unfinished(&path(missing)).await.must(&format!("discard of the missing {missing}"))?;
    }
    holds(&*store, &path("step/data"), b"data").await
}

pub(super) async fn other_handle_sees_and_discards_unfinished_upload(subject: &dyn Subject) -> Checked {
    let (store, other) = (subject.open(), subject.open());
    let data = path("step/data");
    let begun = Begun::new(&*store, &data).await?;
    equal("what is unfinished by another handle", unfinished(&*other).await?, vec!["step/data".to_owned()])?;
    other.discard_unfinished(&data).await.must("discard by another handle")?;
    equal("what is unfinished after a discard by another handle", unfinished(&*store).await?, Vec::new())?;
    if let Ok(meta) = begun.upload.finish().await {
        return Err(format!("finish after a discard by another handle should fail, but gave {meta:?}"));
    }
    expect_error!(other.head(&data).await, NotFound, "head of a discarded upload")
}

/// An upload that has come far enough to have left something in the store.
struct Begun {
    upload: Box<dyn Upload>,
    blocks: usize,
}

impl Begun {
    async fn new(store: &dyn Store, path: &StorePath) -> Checked<Self> {
        let mut begun = Self { upload: store.create(path, None).await.must("create")?, blocks: 0 };
        while !unfinished(store).await?.iter().any(|name| name == path.as_str()) {
            if begun.blocks == MAX_BLOCKS {
                return Err(format!("{path} should be unfinished once {MAX_BLOCKS} MiB are written"));
            }
            begun.advance().await?;
        }
        Ok(begun)
    }

    /// One more that has come as far.
    async fn another(&self, store: &dyn Store, path: &StorePath) -> Checked<Self> {
        let mut begun = Self { upload: store.create(path, None).await.must("create")?, blocks: 0 };
        while begun.blocks < self.blocks {
            begun.advance().await?;
        }
        Ok(begun)
    }

    async fn advance(&mut self) -> Checked {
        self.upload.write(&block(self.blocks)).await.must("write")?;
        self.blocks += 1;
        Ok(())
    }

    /// Gives the content.
    async fn finish(self) -> Checked<Vec<u8>> {
        self.upload.finish().await.must("finish")?;
        Ok((0..self.blocks).flat_map(block).collect())
    }
}

/// In MiB. Object stores begin an upload with its first part, of 5 MiB or more.
const MAX_BLOCKS: usize = 64;

fn block(number: usize) -> Vec<u8> {
    noise(61 + number as u64, 1 << 20)
}

async fn unfinished(store: &dyn Store) -> Checked<Vec<String>> {
    let names = store.unfinished().await.must("unfinished")?;
    Ok(names.into_iter().map(String::from).collect())
}
