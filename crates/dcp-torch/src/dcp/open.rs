//! Opens a checkpoint.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{Ask, Need, OpenedCheckpoint, Reply, Step, StorageError, StorePath, Strictness, Transforms};
use dcp_types::{Digest, Rank};

use super::companion;
use super::format::index_path;
use super::opened::OpenedDcp;
use crate::beside::{LARGE, beside};
use crate::metadata;
use crate::saved::{ReadSaved, SavedFile};

/// The machine that opens: needs the index, or those of all ranks, then what Lightning has put beside it.
pub(super) struct Open {
    strictness: Strictness,
    transforms: Transforms,
    stage: Stage,
}

enum Stage {
    Begin,
    Presence,
    Listing,
    /// The files of the index, and whether there is a companion.
    Index(Vec<StorePath>, Option<u64>),
    Companion(Vec<(StorePath, Bytes)>, ReadSaved),
    Over,
}

impl Open {
    pub(super) fn new(strictness: Strictness, transforms: Transforms) -> Self {
        Self { strictness, transforms, stage: Stage::Begin }
    }

    fn read_index(&mut self, files: Vec<StorePath>, companion: Option<u64>) -> Step<Arc<dyn OpenedCheckpoint>> {
        let needs = files.iter().cloned().map(Need::Whole).collect();
        self.stage = Stage::Index(files, companion);
        Step::Needs(needs)
    }

    fn decode(
        &self,
        files: &[(StorePath, Bytes)],
        companion: Option<SavedFile>,
    ) -> Result<Arc<dyn OpenedCheckpoint>, StorageError> {
        let decode = || metadata::decode(files, self.strictness);
        let is_large = files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() >= LARGE;
        let (fingerprint, decoded) = if is_large { beside(|| fingerprint_of(files), decode) } else { (None, decode()) };
        let (index, findings) = decoded?;
        let fingerprint = fingerprint.unwrap_or_else(|| fingerprint_of(files));
        let path = files.first().map_or_else(index_path, |(path, _)| path.clone());
        let (companion, transforms) = (companion.map(Arc::new), self.transforms.clone());
        Ok(Arc::new(OpenedDcp::new(index, findings, fingerprint, path, companion, self.strictness, transforms)?))
    }
}

impl Ask for Open {
    type Output = Arc<dyn OpenedCheckpoint>;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Self::Output>, StorageError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Begin => {
                self.stage = Stage::Presence;
                Ok(Step::Needs(vec![Need::Presence(index_path()), Need::Presence(companion::path())]))
            }
            Stage::Presence => match replies.as_slice() {
                [Reply::Presence(Some(_)), Reply::Presence(companion)] => {
                    Ok(self.read_index(vec![index_path()], *companion))
                }
                _ => {
                    self.stage = Stage::Listing;
                    Ok(Step::Needs(vec![Need::Listing(None)]))
                }
            },
            Stage::Listing => {
                let Some(Reply::Listing(objects)) = replies.into_iter().next() else { return Err(nothing()) };
                let mut files: Vec<_> =
                    objects.into_iter().filter_map(|object| Some((rank_of(&object.path)?, object.path))).collect();
                files.sort();
                match files.first() {
                    None => return Err(nothing()),
                    Some((0, _)) => {}
                    // It is the last to be written, and PyTorch begins with it as well.
                    Some((_, found)) => return Err(unfinished(found.clone())),
                }
                Ok(self.read_index(files.into_iter().map(|(_, path)| path).collect(), None))
            }
            Stage::Index(paths, companion) => {
                let bytes = replies.into_iter().filter_map(|reply| match reply {
                    Reply::Bytes(bytes) => Some(bytes),
                    _ => None,
                });
                let files: Vec<_> = paths.into_iter().zip(bytes).collect();
                match companion {
                    None => Ok(Step::Done(self.decode(&files, None)?)),
                    Some(size) => {
                        let mut read = ReadSaved::new(companion::path(), size);
                        let step = read.next(Vec::new())?;
                        self.go_on(files, read, step)
                    }
                }
            }
            Stage::Companion(files, mut read) => {
                let step = read.next(replies)?;
                self.go_on(files, read, step)
            }
            Stage::Over => Err(nothing()),
        }
    }
}

impl Open {
    fn go_on(
        &mut self,
        files: Vec<(StorePath, Bytes)>,
        read: ReadSaved,
        step: Step<SavedFile>,
    ) -> Result<Step<Arc<dyn OpenedCheckpoint>>, StorageError> {
        match step {
            Step::Done(companion) => Ok(Step::Done(self.decode(&files, Some(companion))?)),
            Step::Needs(needs) => {
                self.stage = Stage::Companion(files, read);
                Ok(Step::Needs(needs))
            }
        }
    }
}

/// The digest of an index, or of those of all ranks.
fn fingerprint_of(files: &[(StorePath, Bytes)]) -> Digest {
    match files {
        [(_, only)] => Digest::of(only),
        several => {
            let digests = several.iter().map(|(path, bytes)| format!("{path} {:?} ", Digest::of(bytes)));
            Digest::of(digests.collect::<String>().as_bytes())
        }
    }
}

/// The rank whose index this is (`__{rank}.metadata`), if it is one.
pub(super) fn rank_of(path: &StorePath) -> Option<Rank> {
    let rank = path.as_str().strip_prefix("__")?.strip_suffix(".metadata")?;
    rank.parse().ok().filter(|parsed: &Rank| parsed.to_string() == rank)
}

fn unfinished(found: StorePath) -> StorageError {
    StorageError::Unfinished { location: "the given place".into(), found }
}

fn nothing() -> StorageError {
    StorageError::NoCheckpoint { location: "the given place".into(), reason: "it has no .metadata".into() }
}
