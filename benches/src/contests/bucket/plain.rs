//! The limit: the client library's own requests for as many bytes, without any checkpoint.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use crate::Fault;
use crate::used::Used;
use bytes::Bytes;
use dcp::crates::dcp_s3::object_store::aws::{AmazonS3, AmazonS3Builder};
use dcp::crates::dcp_s3::object_store::path::Path;
use dcp::crates::dcp_s3::object_store::{self, GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::job::{Job, PART, Task};
use super::server::Variables;

/// Does it, in this process; returns the time, and the memory beyond the state.
pub(super) fn run(task: Task, job: &Job) -> Result<Used, Fault> {
    let (client, prefix) = client(&job.url, &Variables::new())?;
    let runtime = Runtime::new()?;
    match task {
        Task::Save => runtime.block_on(put(client, &prefix, job)),
        Task::Load => runtime.block_on(get(client, &prefix, job)),
    }
}

/// Removes what has been written below a URL.
pub(super) fn clear(url: &str, variables: &Variables) -> Result<(), Fault> {
    let (client, prefix) = client(url, variables)?;
    Runtime::new()?.block_on(async {
        let objects: Vec<_> = client.list(Some(&prefix)).try_collect().await?;
        for object in objects {
            client.delete(&object.location).await?;
        }
        Ok(())
    })
}

/// A client as the environment says, and these variables beside it.
fn client(url: &str, variables: &Variables) -> Result<(Arc<AmazonS3>, Path), Fault> {
    let place = url.strip_prefix("s3://").ok_or("the URL is not s3://bucket/prefix")?;
    let prefix = place.split_once('/').map_or("", |(_, prefix)| prefix);
    let mut builder = AmazonS3Builder::from_env().with_url(url);
    for (name, value) in variables {
        builder = builder.with_config(name.to_ascii_lowercase().parse()?, value);
    }
    Ok((Arc::new(builder.build()?), Path::parse(prefix)?))
}

/// All objects at once, in parts, which need not be copied.
async fn put(client: Arc<AmazonS3>, prefix: &Path, job: &Job) -> Result<Used, Fault> {
    let contents: Vec<_> = (0..job.files).map(|file| Bytes::from(vec![file as u8 + 1; share(job, file)])).collect();
    let in_flight = Arc::new(Semaphore::new(job.in_flight));
    let start = Instant::now();
    let before = Used::since(start)?;
    let mut files = JoinSet::new();
    for (file, content) in contents.iter().enumerate() {
        files.spawn(put_one(Arc::clone(&client), key(prefix, file), content.clone(), Arc::clone(&in_flight)));
    }
    while let Some(done) = files.join_next().await {
        done?.map_err(|fault| fault.to_string())?;
    }
    let after = Used::since(start)?;
    Ok(after.beyond(before))
}

async fn put_one(
    client: Arc<AmazonS3>,
    key: Path,
    content: Bytes,
    in_flight: Arc<Semaphore>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut upload = client.put_multipart(&key).await?;
    let mut parts = JoinSet::new();
    for start in (0..content.len()).step_by(PART) {
        let room = Arc::clone(&in_flight).acquire_owned().await?;
        let part = upload.put_part(content.slice(start..content.len().min(start + PART)).into());
        parts.spawn(async move {
            let sent = part.await;
            drop(room);
            sent
        });
    }
    while let Some(sent) = parts.join_next().await {
        sent??;
    }
    upload.complete().await?;
    Ok(())
}

/// Ranges of all objects, into memory that is there.
async fn get(client: Arc<AmazonS3>, prefix: &Path, job: &Job) -> Result<Used, Fault> {
    let mut ranges = Vec::new();
    for file in 0..job.files {
        let length = share(job, file);
        for start in (0..length).step_by(PART) {
            ranges.push((key(prefix, file), start as u64, vec![0xFF; PART.min(length - start)]));
        }
    }
    let start = Instant::now();
    let before = Used::since(start)?;
    let gets =
        ranges.into_iter().map(|(key, start, buffer)| tokio::spawn(get_one(Arc::clone(&client), key, start, buffer)));
    let filled: Vec<_> = stream::iter(gets).buffer_unordered(job.in_flight).try_collect().await?;
    let after = Used::since(start)?;
    let filled: Vec<_> = filled.into_iter().collect::<object_store::Result<_>>()?;
    if filled.iter().any(|buffer| buffer.contains(&0xFF)) {
        return Err("not all bytes have come".into());
    }
    Ok(after.beyond(before))
}

async fn get_one(client: Arc<AmazonS3>, key: Path, start: u64, mut buffer: Vec<u8>) -> object_store::Result<Vec<u8>> {
    let range = Some(GetRange::Bounded(start..start + buffer.len() as u64));
    let mut answer = client.get_opts(&key, GetOptions { range, ..GetOptions::default() }).await?.into_stream();
    let mut position = 0;
    while let Some(bytes) = answer.try_next().await? {
        buffer[position..][..bytes.len()].copy_from_slice(&bytes);
        position += bytes.len();
    }
    Ok(buffer)
}

/// The bytes of an object.
fn share(job: &Job, file: usize) -> usize {
    job.bytes() * (file + 1) / job.files - job.bytes() * file / job.files
}

fn key(prefix: &Path, file: usize) -> Path {
    prefix.clone().join(format!("plain-{file}"))
}
