//! One bit is flipped, and found.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dcp::crates::dcp_storage::Locator;
use dcp::crates::dcp_types::ReadItem;
use dcp::{Checkpoint, Error, Fqn};

use super::cluster::Cluster;
use super::load::load_on;
use super::model::Model;
use crate::failure::Failure;

/// What became of a flipped bit.
#[derive(Debug)]
pub(super) struct Found {
    /// The tensor that it belongs to.
    pub(super) fqn: Fqn,
    /// The file that it is in.
    pub(super) file: String,
    /// In which byte of the file it is.
    pub(super) offset: u64,
    /// The rank that noticed.
    pub(super) rank: usize,
    /// What it said.
    pub(super) message: String,
}

/// Flips a bit of the largest tensor, loads everything, and puts the bit back.
pub(super) fn flip_and_load(model: &Model, cluster: &Cluster, dir: &Path) -> Result<Option<Found>, Failure> {
    let checkpoint = Checkpoint::open(dir)?;
    let largest = model.tensors().max_by_key(|(_, tensor)| tensor.bytes.len());
    let Some((fqn, _)) = largest.filter(|(_, tensor)| !tensor.bytes.is_empty()) else { return Ok(None) };
    let (file, offset) = middle(&checkpoint, &fqn)?;
    let flipped = Flipped::new(dir.join(&file), offset)?;
    let noticed = notice(model, cluster, dir);
    flipped.restore()?;
    let (rank, error) = noticed?;
    let named = matches!(&error, Error::Storage(error) if error.fqn() == Some(&fqn));
    if !named {
        return Err(Failure::Bad(format!("a bit of {fqn} was flipped, but the load said: {error}")));
    }
    // As good as before.
    checkpoint.tensor(fqn.as_str())?;
    Ok(Some(Found { fqn, file, offset, rank, message: error.to_string() }))
}

/// A byte in the middle of the middle chunk of a tensor: file and offset.
fn middle(checkpoint: &Checkpoint, fqn: &Fqn) -> Result<(String, u64), Failure> {
    let nowhere = || Failure::Impossible(format!("the bytes of {fqn} cannot be found in a file"));
    let entry = checkpoint.metadata().find(fqn.as_str());
    let (entry, tensor) = entry.and_then(|(number, entry)| Some((number, entry.as_tensor()?))).ok_or_else(nowhere)?;
    let chunk = tensor.all_chunks().nth((tensor.chunk_count() / 2) as usize).ok_or_else(nowhere)?;
    match checkpoint.locate(vec![ReadItem::whole_chunk(entry, chunk)])?.as_slice() {
        [Locator::Extent(extent)] => Ok((extent.file.to_string(), extent.offset + extent.length / 2)),
        _ => Err(nowhere()),
    }
}

/// The rank that notices that the checkpoint is bad, and its error. No rank may take it for loaded.
fn notice(model: &Model, cluster: &Cluster, dir: &Path) -> Result<(usize, Error), Failure> {
    let unnoticed = |rank| Failure::Bad(format!("a bit was flipped, and rank {rank} did not notice"));
    let mut noticed = None;
    let outcomes = cluster.try_run(|rank| load_on(rank, model, cluster, dir).map(|_| ()));
    for (rank, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(()) => return Err(unnoticed(rank)),
            Err(Failure::Checkpoint(Error::Collective(_))) => {}
            Err(Failure::Checkpoint(error)) if error.is_bad_checkpoint() => noticed = Some((rank, error)),
            Err(failure) => return Err(failure),
        }
    }
    noticed.ok_or_else(|| unnoticed(0))
}

/// A flipped bit, which is put back at the latest when this is dropped.
struct Flipped {
    path: PathBuf,
    file: File,
    offset: u64,
    byte: [u8; 1],
}

impl Flipped {
    fn new(path: PathBuf, offset: u64) -> Result<Self, Failure> {
        let open = || -> io::Result<(File, [u8; 1])> {
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset)?;
            file.write_all_at(&[byte[0] ^ 0x10], offset)?;
            Ok((file, byte))
        };
        let (file, byte) = open().map_err(|error| Failure::path("flip a bit of", &path, &error))?;
        Ok(Self { path, file, offset, byte })
    }

    fn restore(&self) -> Result<(), Failure> {
        let restored = self.file.write_all_at(&self.byte, self.offset).and_then(|()| self.file.sync_all());
        restored.map_err(|error| Failure::path("put a flipped bit back into", &self.path, &error))
    }
}

impl Drop for Flipped {
    fn drop(&mut self) {
        // If that goes wrong, then it did so before and has been reported.
        drop(self.file.write_all_at(&self.byte, self.offset));
    }
}
