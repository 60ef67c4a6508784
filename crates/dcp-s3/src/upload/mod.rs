//! An object that is being written.

pub(crate) mod blocks;
mod gathered;
mod parts;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dcp_storage::{ObjectMeta, StorageError, Upload};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet, yield_now};

use self::gathered::Gathered;
use self::parts::PartSizes;
use crate::budget::Budget;
use crate::site::Site;
use crate::work::{self, Failure, Patience};

/// Where an upload goes, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) key: Path,
    pub(crate) site: Site,
    pub(crate) patience: Patience,
    pub(crate) budget: Budget,
    pub(crate) part_size: u64,
}

impl Target {
    /// The size of what has the name now, if anything.
    async fn size_there(&self) -> Result<Option<u64>, Failure> {
        match work::ask(self.patience, self.store.head(&self.key)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether what has the name now has just this content.
    async fn holds(&self, content: PutPayload) -> bool {
        let read = async {
            let got = self.store.get(&self.key).await?;
            if got.meta.size == content.content_length() as u64 { got.bytes().await.map(Some) } else { Ok(None) }
        };
        work::ask(self.patience, read).await.is_ok_and(|found| found == Some(Bytes::from(content.clone())))
    }
}

/// Gathers a part, sends it on its way, gathers the next one. What is one part only is put in one request, at the end.
pub(crate) struct BucketUpload {
    target: Target,
    runtime: Handle,
    sizes: PartSizes,
    gathered: Gathered,
    sent: u64,
    parts: u64,
    stage: Stage,
    on_their_way: JoinSet<Result<(), Failure>>,
    /// Says when the last of them has room.
    queued: Option<oneshot::Receiver<()>>,
    /// Something has failed.
    torn: bool,
}

/// What the store knows of an upload. As a task of its own it comes to an end whatever becomes of who waits for it, so
/// that nothing is begun that nobody can give up.
enum Stage {
    Nothing,
    Beginning(JoinHandle<Result<Box<dyn MultipartUpload>, Failure>>),
    Begun(Box<dyn MultipartUpload>),
}

impl BucketUpload {
    pub(crate) fn new(target: Target, runtime: Handle, expected_size: Option<u64>) -> Self {
        let sizes = PartSizes::new(target.part_size, expected_size);
        let gathered = Gathered::new(target.budget.blocks());
        Self {
            target,
            runtime,
            sizes,
            gathered,
            sent: 0,
            parts: 0,
            stage: Stage::Nothing,
            on_their_way: JoinSet::new(),
            queued: None,
            torn: false,
        }
    }

    async fn append(&mut self, mut data: &[u8]) -> Result<(), StorageError> {
        while !data.is_empty() {
            let room = self.sizes.size(self.parts) - self.gathered.len();
            if room == 0 {
                self.send().await?;
                continue;
            }
            let (now, later) = data.split_at(usize::try_from(room).unwrap_or(usize::MAX).min(data.len()));
            self.wait_for_room().await;
            self.gathered.push(now);
            data = later;
        }
        Ok(())
    }

    /// Until then there is a part that counts as not yet sent, and there shall be one at most.
    async fn wait_for_room(&mut self) {
        if let Some(queued) = &mut self.queued {
            // If it has failed instead, that shows when it is judged.
            queued.await.unwrap_or_default();
            self.queued = None;
        }
    }

    /// Sends what is gathered on its way, as soon as there is room. It goes by itself: who writes need not be woken first.
    async fn send(&mut self) -> Result<(), StorageError> {
        while let Some(ended) = self.on_their_way.try_join_next() {
            self.judge(ended)?;
        }
        self.begin().await?;
        let Stage::Begun(upload) = &mut self.stage else { return Err(self.target.site.no_upload("write")) };
        let length = self.gathered.len();
        self.sent += length;
        self.parts += 1;
        let part = upload.put_part(self.gathered.take());
        let (patience, budget) = (self.target.patience, self.target.budget.clone());
        let (has_room, queued) = oneshot::channel();
        self.queued = Some(queued);
        let send = async move {
            let taken = budget.room_for(length).await;
            // The request first: who writes takes a core for a while.
            let tell = async {
                yield_now().await;
                has_room.send(()).unwrap_or_default();
            };
            let (sent, ()) = tokio::join!(work::ask(patience, part), tell);
            drop(taken);
            sent
        };
        self.on_their_way.spawn_on(send, &self.runtime);
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), StorageError> {
        if matches!(self.stage, Stage::Nothing) {
            let Target { store, key, patience, .. } = self.target.clone();
            let begin = async move { work::ask(patience, store.put_multipart(&key)).await };
            self.stage = Stage::Beginning(self.runtime.spawn(begin));
        }
        if let Stage::Beginning(beginning) = &mut self.stage {
            let begun = beginning.await.map_err(|lost| self.target.site.io("write", lost.into()))?;
            self.stage = Stage::Nothing;
            self.stage = Stage::Begun(begun.map_err(self.target.site.failed_to("begin to write"))?);
        }
        Ok(())
    }

    fn judge(&self, ended: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), StorageError> {
        let sent = ended.map_err(|lost| self.target.site.io("write", lost.into()))?;
        sent.map_err(self.target.site.failed_to("write"))
    }

    /// Puts all of a small object.
    async fn put(&mut self) -> Result<(), StorageError> {
        let (target, content) = (&self.target, self.gathered.take());
        let site = &target.site;
        let _taken = target.budget.room_for(content.content_length() as u64).await;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = target.store.put_opts(&target.key, content.clone(), options);
        let failure = match work::ask(target.patience, put).await {
            Ok(_) => return Ok(()),
            Err(failure) => failure,
        };
        if failure.may_have_happened() && target.holds(content).await {
            return Ok(());
        }
        Err(if failure.is_refused() {
            site.taken()
        } else if failure.is_impossible() {
            site.no_conditions(work::reason(failure))
        } else {
            site.failed_to("finish")(failure)
        })
    }

    /// Waits for all parts and has them put together.
    async fn complete(&mut self) -> Result<(), StorageError> {
        if self.gathered.len() > 0 {
            self.send().await?;
        }
        while let Some(ended) = self.on_their_way.join_next().await {
            self.judge(ended)?;
        }
        // Not every store completes on a condition.
        if self.target.size_there().await.map_err(self.target.site.failed_to("finish"))?.is_some() {
            return Err(self.target.site.taken());
        }
        let Stage::Begun(upload) = &mut self.stage else { return Err(self.target.site.no_upload("finish")) };
        let failure = match work::ask(self.target.patience, upload.complete()).await {
            Ok(_) => return Ok(()),
            Err(failure) => failure,
        };
        // Was it there before, or is it ours, of which we were not told? Its size must do: parts are not kept.
        if failure.unanswered && matches!(self.target.size_there().await, Ok(Some(size)) if size == self.sent) {
            return Ok(());
        }
        Err(if failure.is_refused() { self.target.site.taken() } else { self.target.site.failed_to("finish")(failure) })
    }

    /// Takes out what there is to give up.
    fn leftovers(&mut self) -> Leftovers {
        Leftovers {
            stage: std::mem::replace(&mut self.stage, Stage::Nothing),
            on_their_way: std::mem::take(&mut self.on_their_way),
            patience: self.target.patience,
        }
    }
}

#[async_trait]
impl Upload for BucketUpload {
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError> {
        // Until it is known to have gone well, it has not: a future may be dropped half way.
        self.torn = true;
        self.append(data).await?;
        self.torn = false;
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<ObjectMeta, StorageError> {
        if self.torn {
            return Err(self.target.site.io("finish", std::io::Error::other("an earlier write has failed")));
        }
        let size = self.sent + self.gathered.len();
        let done = if matches!(self.stage, Stage::Nothing) { self.put().await } else { self.complete().await };
        match done {
            Ok(()) => {
                self.stage = Stage::Nothing;
                Ok(self.target.site.meta(size))
            }
            Err(fault) => {
                // The first error is what matters.
                drop(self.leftovers().remove().await);
                Err(fault)
            }
        }
    }

    async fn abort(mut self: Box<Self>) -> Result<(), StorageError> {
        self.leftovers().remove().await.map_err(self.target.site.failed_to("abort"))
    }
}

impl Drop for BucketUpload {
    fn drop(&mut self) {
        let leftovers = self.leftovers();
        if !matches!(leftovers.stage, Stage::Nothing) {
            // Nobody to tell, nobody to wait.
            self.runtime.spawn(async move { drop(leftovers.remove().await) });
        }
    }
}

/// What an upload that is given up leaves.
struct Leftovers {
    stage: Stage,
    on_their_way: JoinSet<Result<(), Failure>>,
    patience: Patience,
}

impl Leftovers {
    async fn remove(mut self) -> Result<(), Failure> {
        // A part that arrives after the end would stay.
        self.on_their_way.shutdown().await;
        let mut upload = match self.stage {
            Stage::Nothing => return Ok(()),
            Stage::Begun(upload) => upload,
            Stage::Beginning(beginning) => match beginning.await {
                Ok(Ok(upload)) => upload,
                // It was never begun.
                Ok(Err(_)) | Err(_) => return Ok(()),
            },
        };
        match work::ask(self.patience, upload.abort()).await {
            // Somebody else has discarded it.
            Err(failure) if failure.is_missing() => Ok(()),
            ended => ended,
        }
    }
}
