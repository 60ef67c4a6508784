//! A store in memory that does as a test wants.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use dcp_s3::object_store::memory::InMemory;
use dcp_s3::object_store::path::Path;
use dcp_s3::object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

/// An answer's body.
pub(crate) type Body = BoxStream<'static, Result<Bytes>>;

/// What is done to requests on their way.
pub(crate) trait Script: fmt::Debug + Send + Sync + 'static {
    /// Before a request for these bytes is answered.
    fn before_get(&self, range: &Range<u64>) -> BoxFuture<'static, Result<()>> {
        let _ = range;
        Box::pin(async { Ok(()) })
    }

    /// The body of the answer to a request for these bytes.
    fn body(&self, range: Range<u64>, body: Body) -> Body {
        let _ = range;
        body
    }

    /// Sends a part of so many bytes.
    fn part(&self, bytes: usize, part: UploadPart) -> UploadPart {
        let _ = bytes;
        part
    }

    /// What becomes of the answer to a put.
    fn put(&self, answer: Result<PutResult>) -> Result<PutResult> {
        answer
    }

    /// An upload was aborted.
    fn aborted(&self) {}
}

/// The store.
#[derive(Debug)]
pub(crate) struct Scripted<S> {
    pub(crate) inner: Arc<InMemory>,
    pub(crate) script: Arc<S>,
}

impl<S: Script> Scripted<S> {
    pub(crate) fn new(script: S) -> Arc<Self> {
        Arc::new(Self { inner: Arc::new(InMemory::new()), script: Arc::new(script) })
    }
}

impl<S> fmt::Display for Scripted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted")
    }
}

#[async_trait]
impl<S: Script> ObjectStore for Scripted<S> {
    async fn put_opts(&self, key: &Path, content: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.script.put(self.inner.put_opts(key, content, options).await)
    }

    async fn put_multipart_opts(&self, key: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(key, options).await?;
        Ok(Box::new(ScriptedUpload { inner, script: Arc::clone(&self.script) }))
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let mut got = self.inner.get_opts(key, options).await?;
        if !head {
            self.script.before_get(&got.range).await?;
            let range = got.range.clone();
            let body =
                std::mem::replace(&mut got.payload, GetResultPayload::Stream(futures_util::stream::empty().boxed()));
            let GetResultPayload::Stream(body) = body else { panic!("memory streams") };
            got.payload = GetResultPayload::Stream(self.script.body(range, body));
        }
        Ok(got)
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct ScriptedUpload<S> {
    inner: Box<dyn MultipartUpload>,
    script: Arc<S>,
}

#[async_trait]
impl<S: Script> MultipartUpload for ScriptedUpload<S> {
    fn put_part(&mut self, content: PutPayload) -> UploadPart {
        let bytes = content.content_length();
        let part = self.inner.put_part(content);
        self.script.part(bytes, part)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.script.aborted();
        self.inner.abort().await
    }
}

/// How much is under way, and the most that has been at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl UnderWay {
    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    /// So much more, until what is returned is dropped: it has ended, or was given up.
    pub(crate) fn begin(&self, amount: usize) -> Begun {
        let now = self.now.fetch_add(amount, Ordering::SeqCst) + amount;
        self.most.fetch_max(now, Ordering::SeqCst);
        Begun { of: self.clone(), amount }
    }
}

pub(crate) struct Begun {
    of: UnderWay,
    amount: usize,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.of.now.fetch_sub(self.amount, Ordering::SeqCst);
    }
}
