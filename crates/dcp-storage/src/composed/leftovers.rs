//! What saves that came to no end have left, and how it is removed although nobody can tell a dead process from a slow one.
//!
//! Why no index ever refers to what is removed:
//!
//! * What a generation has left is removed only by who holds its claim: the claim of a dead save is replaced by one of our own, on the version
//!   that was found expired. A save that is slow, not dead, looks at its claim and puts it on record once more before it commits, so it learns of that.
//! * From then on its claim is a new one. Its index is published at once, not only when that claim has expired in turn.
//! * The index is read when the claim is ours: what it refers to by now is left alone. Our claim goes on naming the index of the save, so that
//!   one of a format that nobody knows here is found as well, now and if somebody else takes the clean-up up.
//! * The claim goes last. As long as it is there, nobody writes under its generation, and no other clean-up removes anything of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::claim::{self, Claim};
use super::named::named_indexes;
use super::traces::Traces;
use crate::engine::read_whole;
use crate::names::{claimed_generation, is_commit, is_index};
use crate::{Format, Generation, ObjectMeta, Precondition, StorageError, Store, StorePath, Version};

/// Something that a save has left which came to no end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Leftover {
    /// The object.
    pub path: StorePath,
    /// What it is.
    pub kind: LeftoverKind,
    /// Its size in bytes; `None` of an upload.
    pub bytes: Option<u64>,
    /// Why it stays, or has stayed; `None` if it may be removed, or has been.
    pub kept: Option<Kept>,
}

impl Leftover {
    fn is_gone(&self) -> bool {
        self.kept.is_none()
    }
}

/// What has been left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftoverKind {
    /// A file of tensors and values to which no index refers.
    Data,
    /// What was written of an object that is not whole.
    Upload,
    /// A companion of an index that never came.
    Companion,
    /// The claim of a save.
    Claim,
}

/// Why something is not removed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kept {
    /// The save to which it belongs may be alive: its claim holds until then.
    Until(SystemTime),
    /// Nothing tells whether somebody still writes it.
    Unknown,
    /// It could not be removed.
    Failed(StorageError),
}

/// Looks in the directory of one checkpoint for what saves have left that came to no end.
///
/// Known are data files whose names tell a generation to which no index refers, claims, companions of an index (an index of a rank, `meta.pt`)
/// where there is a claim and no index, and unfinished uploads of all of them and of files of one-file formats. Whatever else lies
/// there is not looked at. Without a claim data files are left alone where there is no index, which may be lost or be still to come, and
/// those of generation 0, whose names are PyTorch's, too.
#[derive(Clone, Copy, Debug)]
pub struct Leftovers<'s> {
    store: &'s dyn Store,
    formats: &'s [Arc<dyn Format>],
    no_save_running: bool,
}

impl<'s> Leftovers<'s> {
    /// Of a directory that holds a checkpoint of one of these formats, if any.
    #[must_use]
    pub fn new(store: &'s dyn Store, formats: &'s [Arc<dyn Format>]) -> Self {
        Self { store, formats, no_save_running: false }
    }

    /// The same where nobody saves at the time: claims are then taken for abandoned although they have not expired, and so are uploads of which
    /// nothing tells.
    #[must_use]
    pub fn no_save_running(mut self, certain: bool) -> Self {
        self.no_save_running = certain;
        self
    }

    /// What there is, and changes nothing.
    ///
    /// # Errors
    /// Whatever the store reports; if there is an index of which the generation cannot be told, what is wrong with it.
    pub async fn find(&self) -> Result<Vec<Leftover>, StorageError> {
        let seen = self.look().await?;
        let mut found = Vec::new();
        let mut doubts = None;
        for generation in seen.past() {
            let doubt = self.verdict(generation, &seen).await?.err();
            found.extend(seen.of(generation).into_iter().map(|part| part.kept(doubt)));
            doubts = doubts.or(doubt);
        }
        found.extend(seen.companions().map(|part| part.kept(doubts)));
        let doubt = (!self.no_save_running).then_some(Doubt::Unknown);
        found.extend(seen.files(self.formats).map(|part| part.kept(doubt)));
        Ok(found)
    }

    /// Removes what may be removed. Tells what there was, and of what has stayed, why.
    ///
    /// # Errors
    /// As [`find`](Self::find); nothing is removed then.
    pub async fn remove(&self) -> Result<Vec<Leftover>, StorageError> {
        let mut left = Vec::new();
        let (mut ours, mut made, mut doubts) = (BTreeSet::new(), BTreeSet::new(), None);
        let seen = self.look().await?;
        let companions: BTreeSet<StorePath> = seen.companions().map(|part| part.path).collect();
        for generation in seen.past() {
            let doubt = match self.verdict(generation, &seen).await? {
                Err(doubt) => doubt,
                Ok(found) => {
                    let is_new = found.is_none();
                    if self.take(generation, found).await? {
                        ours.insert(generation);
                        made.extend(is_new.then_some(generation));
                        continue;
                    }
                    // Somebody was faster: it is alive, or another clean-up is at it.
                    Doubt::Unknown
                }
            };
            left.extend(seen.of(generation).into_iter().map(|part| part.kept(Some(doubt))));
            doubts = doubts.or(Some(doubt));
        }
        // What has been written and committed until the claims were ours.
        let seen = self.look().await?;
        if seen.claims().any(|generation| !ours.contains(&generation)) {
            doubts = doubts.or(Some(Doubt::Unknown));
        }
        let mut is_clean = true;
        for part in seen.companions().filter(|part| companions.contains(&part.path)) {
            let gone = if doubts.is_some() { part.kept(doubts) } else { self.drop_one(part).await };
            is_clean &= gone.is_gone();
            left.push(gone);
        }
        for generation in ours.difference(&seen.current) {
            let mut is_clean = is_clean || doubts.is_some();
            for part in seen.of(*generation) {
                // The claim, which comes last, tells that the rest is a leftover.
                if is_clean || part.kind != LeftoverKind::Claim {
                    let is_made = part.kind == LeftoverKind::Claim && made.contains(generation);
                    let gone = self.drop_one(part).await;
                    is_clean &= gone.is_gone();
                    left.extend((!is_made || !is_clean).then_some(gone));
                }
            }
        }
        for part in seen.files(self.formats) {
            left.push(if self.no_save_running { self.drop_one(part).await } else { part.kept(Some(Doubt::Unknown)) });
        }
        Ok(left)
    }

    async fn drop_one(&self, part: Part) -> Leftover {
        let dropped = match part.kind {
            LeftoverKind::Upload => self.store.discard_unfinished(&part.path).await,
            _ => self.store.delete(&part.path).await,
        };
        Leftover { kept: dropped.err().map(Kept::Failed), ..part.kept(None) }
    }

    async fn look(&self) -> Result<Seen, StorageError> {
        let traces = Traces::in_store(self.store).await?;
        // Afterwards: what was committed until now is known.
        let mut commits = named_indexes(self.store, traces.objects(), |path| self.is_commit(path)).await?;
        let paths = traces.objects().iter().map(|object| &object.path);
        commits.extend(paths.filter(|path| self.is_commit(path)).cloned());
        let mut current = BTreeSet::new();
        for index in &commits {
            current.insert(self.generation(index).await?);
        }
        Ok(Seen { traces, current, has_index: !commits.is_empty() })
    }

    fn is_commit(&self, path: &StorePath) -> bool {
        is_commit(path) || self.formats.iter().any(|format| !format.is_one_file() && format.index_path() == *path)
    }

    /// The generation of an index.
    async fn generation(&self, path: &StorePath) -> Result<Generation, StorageError> {
        let (index, _) = read_whole(self.store, path).await?;
        let mut fault = None;
        for format in self.formats.iter().filter(|format| !format.is_one_file()) {
            match format.generation(&index) {
                Ok(generation) => return Ok(generation),
                Err(error) if format.index_path() == *path => fault = Some(error),
                Err(_) => {}
            }
        }
        Err(fault.unwrap_or_else(|| StorageError::NoCheckpoint {
            location: self.store.location(),
            reason: format!("{path} is of no format that is known here, so nobody knows to what it refers"),
        }))
    }

    /// Whether what a generation has left may be removed, and the claim that was found, with its version.
    async fn verdict(
        &self,
        generation: Generation,
        seen: &Seen,
    ) -> Result<Result<Option<(Claim, Version)>, Doubt>, StorageError> {
        let Some((content, version)) = claim::read(self.store, generation).await? else {
            // With a claim in the listing it is being removed at this moment.
            let is_going = seen.claims().any(|claimed| claimed == generation);
            return Ok(if is_going { Err(Doubt::Unknown) } else { Ok(None) });
        };
        Ok(match rmp_serde::from_slice::<Claim>(&content) {
            Ok(claim) if self.no_save_running || claim.has_expired() => Ok(Some((claim, version))),
            Ok(claim) => Err(Doubt::Until(UNIX_EPOCH.checked_add(Duration::from_secs(claim.expires)))),
            // One that cannot be read is nobody's to remove.
            Err(_) => Err(Doubt::Unknown),
        })
    }

    /// Puts a claim of our own in place of the one that was found, or of none. Whether it is there.
    async fn take(&self, generation: Generation, found: Option<(Claim, Version)>) -> Result<bool, StorageError> {
        let (index, when) = match found {
            Some((claim, version)) => (claim.index, Precondition::Matches(version)),
            None => (None, Precondition::Absent),
        };
        Ok(claim::put(self.store, generation, &Claim::new(index, LEASE).encode()?, when).await?.is_some())
    }
}

/// For so long nobody else removes what we have begun to remove.
const LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a generation is left alone.
#[derive(Clone, Copy, Debug)]
enum Doubt {
    /// Its claim has not expired; `None` is beyond all times.
    Until(Option<SystemTime>),
    Unknown,
}

impl From<Doubt> for Kept {
    fn from(doubt: Doubt) -> Self {
        match doubt {
            Doubt::Until(Some(time)) => Self::Until(time),
            Doubt::Until(None) | Doubt::Unknown => Self::Unknown,
        }
    }
}

/// What is in the directory.
struct Seen {
    traces: Traces,
    /// The generations to which indexes refer.
    current: BTreeSet<Generation>,
    has_index: bool,
}

/// Something that was left, before it is judged.
struct Part {
    path: StorePath,
    kind: LeftoverKind,
    bytes: Option<u64>,
}

impl Part {
    fn upload(path: &StorePath) -> Self {
        Self { path: path.clone(), kind: LeftoverKind::Upload, bytes: None }
    }

    fn object(object: &ObjectMeta, kind: LeftoverKind) -> Self {
        Self { path: object.path.clone(), kind, bytes: Some(object.size) }
    }

    fn kept(self, doubt: Option<Doubt>) -> Leftover {
        let Self { path, kind, bytes } = self;
        Leftover { path, kind, bytes, kept: doubt.map(Kept::from) }
    }
}

impl Seen {
    fn claims(&self) -> impl Iterator<Item = Generation> {
        self.traces.objects().iter().filter_map(|object| claimed_generation(&object.path))
    }

    /// The generations that have left something, but for those in use and for files that may be somebody else's.
    fn past(&self) -> BTreeSet<Generation> {
        let claims: BTreeSet<_> = self.claims().collect();
        let is_ours = |generation: &Generation| (*generation > 0 && self.has_index) || claims.contains(generation);
        let all = self.traces.generations().filter(|generation| !self.current.contains(generation));
        all.filter(is_ours).collect()
    }

    /// What a generation has left: uploads, data, then its claim.
    fn of(&self, generation: Generation) -> Vec<Part> {
        let (objects, uploads) = self.traces.data_of(generation);
        let data = objects.into_iter().map(|object| Part::object(object, LeftoverKind::Data));
        let is_claim = |object: &&ObjectMeta| claimed_generation(&object.path) == Some(generation);
        let claim = self.traces.objects().iter().find(is_claim);
        let claim = claim.map(|claim| Part::object(claim, LeftoverKind::Claim));
        uploads.into_iter().map(Part::upload).chain(data).chain(claim).collect()
    }

    /// Companions of an index that is not there, finished or not, if a save of ours was here.
    fn companions(&self) -> impl Iterator<Item = Part> {
        let is_any = !self.has_index && self.claims().next().is_some();
        let objects = self.traces.objects().iter().filter(|object| is_index(&object.path));
        let uploads = self.traces.uploads().iter().filter(|path| is_index(path)).map(Part::upload);
        let all = uploads.chain(objects.map(|object| Part::object(object, LeftoverKind::Companion)));
        all.filter(move |_| is_any)
    }

    /// Files of one-file formats of which an upload was begun.
    fn files(&self, formats: &[Arc<dyn Format>]) -> impl Iterator<Item = Part> {
        let is_file = |name: &str| formats.iter().any(|format| format.is_one_file() && format.is_told_by(name));
        let is_meant = |path: &&StorePath| !path.as_str().contains('/') && !is_index(path) && is_file(path.as_str());
        self.traces.uploads().iter().filter(is_meant).map(Part::upload).collect::<Vec<_>>().into_iter()
    }
}
