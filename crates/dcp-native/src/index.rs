//! The index file: a fixed header, a MessagePack body, a checksum.

use std::ops::RangeInclusive;

use bytes::Bytes;
use dcp_storage::{Checksum, Generation, StorageError, StorePath, Transforms};
use dcp_types::{Chunks, GlobalPlan, Rank, ShardGrid, TensorEntry};
use serde::{Deserialize, Serialize};

use crate::layout::LayoutRule;

/// The name of the index.
pub(crate) const NAME: &str = "index.dcp";
const MAGIC: [u8; 8] = *b"\x89DCPIDX\n";
/// The newest version that is read.
const NEWEST: u32 = 4;
const HEADER: usize = 32;
const CHECKSUM: usize = 16;

/// What an index says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Index {
    pub(crate) generation: Generation,
    pub(crate) rule: LayoutRule,
    /// Of blocks and footers.
    pub(crate) checksum: Checksum,
    /// The descriptors of the transforms that everything went through, in the order in which they are undone.
    pub(crate) transforms: Vec<String>,
    pub(crate) plan: GlobalPlan,
    /// Facts of every file, by rank (ascending).
    pub(crate) ranks: Vec<(Rank, Vec<FileFacts>)>,
}

/// What the layout rule cannot tell of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileFacts {
    /// Its number.
    pub(crate) number: u32,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// The checksum of its footer.
    pub(crate) footer_crc: u32,
    /// The lengths of its values, in bytes; with transforms instead where its footer starts, as the only number.
    pub(crate) values: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct Body<P> {
    rule: u32,
    files_per_rank: u32,
    align: u64,
    block: u64,
    plan: P,
    ranks: Vec<(Rank, Vec<FileFacts>)>,
    /// Earlier checkpoints that chunks are taken from. None in these versions.
    parents: Vec<Bytes>,
    /// Only under layout rule 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    transforms: Vec<String>,
}

/// What sets the versions of the format apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    checksum: Checksum,
    /// The number of the layout rule: 1, or 2 with transforms.
    rule: u32,
}

/// By number, from 1 on.
const VERSIONS: [Version; NEWEST as usize] = [
    Version { checksum: Checksum::Crc32, rule: 1 },
    Version { checksum: Checksum::Crc32, rule: 2 },
    Version { checksum: Checksum::Crc32c, rule: 1 },
    Version { checksum: Checksum::Crc32c, rule: 2 },
];

impl Version {
    fn of(number: u32) -> Option<Self> {
        VERSIONS.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
    }

    fn number(self) -> u32 {
        VERSIONS.iter().zip(1..).find_map(|(version, number)| (*version == self).then_some(number)).unwrap_or(NEWEST)
    }
}

impl Index {
    pub(crate) fn encode(&self) -> Result<Bytes, StorageError> {
        let LayoutRule { files_per_rank, align, block } = self.rule;
        let (plan, ranks, version) = (&self.plan, self.ranks.clone(), self.version());
        let (rule, parents, transforms) = (version.rule, Vec::new(), self.transforms.clone());
        let body = Body { rule, files_per_rank, align, block, plan, ranks, parents, transforms };
        let body = rmp_serde::to_vec(&body)
            .map_err(|fault| StorageError::Unsupported { format: "native", what: fault.to_string() })?;
        let mut index = Vec::with_capacity(HEADER + body.len() + CHECKSUM);
        index.extend(MAGIC);
        index.extend(version.number().to_le_bytes());
        index.extend(0u32.to_le_bytes());
        index.extend(self.generation.to_le_bytes());
        index.extend((body.len() as u64).to_le_bytes());
        index.extend(body);
        index.extend(checksum(&index));
        Ok(index.into())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let Frame { version, generation, body } = frame(bytes)?;
        let mut rest = body;
        let mut decoder = rmp_serde::Deserializer::new(&mut rest);
        decoder.set_max_depth(MAX_DEPTH);
        let body = Body::<GlobalPlan>::deserialize(&mut decoder).map_err(|fault| corrupt(HEADER, fault.to_string()))?;
        if !rest.is_empty() {
            return Err(corrupt(HEADER, format!("{} bytes follow the body", rest.len())));
        }
        let Body { rule, files_per_rank, align, block, plan, ranks, parents, transforms } = body;
        if rule != version.rule || !parents.is_empty() {
            return Err(StorageError::TooNew { path: path()?, found: NEWEST + 1, supported: NEWEST });
        }
        if !(align.is_power_of_two() && block.is_power_of_two() && BLOCKS.contains(&block)) {
            return Err(corrupt(HEADER, format!("alignment {align} or block size {block} is not sensible")));
        }
        let (rule, checksum) = (LayoutRule { files_per_rank, align, block }, version.checksum);
        let index = Self { generation, rule, checksum, transforms, plan, ranks };
        if index.version() != version || index.transforms.len() > Transforms::MAX {
            let (count, number) = (index.transforms.len(), version.number());
            return Err(corrupt(HEADER, format!("{count} transforms are not what version {number} has")));
        }
        index.check()?;
        Ok(index)
    }

    fn version(&self) -> Version {
        Version { checksum: self.checksum, rule: if self.transforms.is_empty() { 1 } else { 2 } }
    }

    /// The facts of a rank's files.
    pub(crate) fn files_of(&self, rank: Rank) -> &[FileFacts] {
        match self.ranks.binary_search_by_key(&rank, |(rank, _)| *rank) {
            Ok(at) => &self.ranks[at].1,
            Err(_) => &[],
        }
    }

    /// What can be told from the index alone: that it does not claim more than its size justifies.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if !self.ranks.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(corrupt(HEADER, "its ranks are not in ascending order".into()));
        }
        if let Some((rank, _)) = self.ranks.iter().find(|(_, files)| files.is_empty()) {
            return Err(corrupt(HEADER, format!("it lists rank {rank}, which has no files")));
        }
        let mut irregular = 0u64;
        for (fqn, entry) in self.plan.metadata().entries() {
            let Some(grid) = entry.as_tensor().and_then(grid_of) else { continue };
            // A rank that holds a chunk has a file.
            let mut limit = self.ranks.len() as u64;
            if is_irregular(grid) {
                limit = limit.saturating_mul(grid.most_parts_per_rank()).min(MAX_IRREGULAR_CHUNKS);
                irregular = irregular.saturating_add(limit);
            }
            if irregular > MAX_IRREGULAR_TOTAL || grid.has_more_chunks_than(limit) {
                return Err(corrupt(HEADER, format!("{fqn} has more chunks than there are files")));
            }
        }
        Ok(())
    }
}

/// Whether this version can hold a tensor.
pub(crate) fn can_hold(tensor: &TensorEntry) -> bool {
    grid_of(tensor).is_none_or(|grid| !is_irregular(grid) || !grid.has_more_chunks_than(MAX_IRREGULAR_CHUNKS))
}

fn grid_of(tensor: &TensorEntry) -> Option<&ShardGrid> {
    match &tensor.chunks {
        Chunks::Grid(grid) => Some(grid),
        _ => None,
    }
}

/// Whether a rank may hold more than one chunk: a strided shard that no later shard completes.
fn is_irregular(grid: &ShardGrid) -> bool {
    grid.most_parts_per_rank() > 1
}

/// The generation that an index is of, from its header.
pub(crate) fn generation(bytes: &[u8]) -> Result<Generation, StorageError> {
    Ok(frame(bytes)?.generation)
}

/// The name of the index as a path.
pub(crate) fn path() -> Result<StorePath, StorageError> {
    StorePath::parse(NAME)
}

/// The sizes of checksum blocks. With smaller ones the tables of large files, which are held in memory, could be as large as the files.
const BLOCKS: RangeInclusive<u64> = 1 << 12..=1 << 24;
/// The most chunks of a tensor of which ranks hold several each. A file for each of them would say that they are there.
const MAX_IRREGULAR_CHUNKS: u64 = 1 << 16;
/// The most of all such tensors together: what can be held in memory whatever the index claims.
const MAX_IRREGULAR_TOTAL: u64 = 1 << 18;
/// How deeply a sound index nests, generously.
const MAX_DEPTH: usize = 32;

/// What is around the body, and the body.
struct Frame<'b> {
    version: Version,
    generation: Generation,
    body: &'b [u8],
}

/// Checks the frame.
fn frame(bytes: &[u8]) -> Result<Frame<'_>, StorageError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(corrupt(0, format!("it has {} bytes, a header alone has {HEADER}", bytes.len())));
    };
    let (magic, numbers) = header.split_at(8);
    if magic != MAGIC {
        return Err(corrupt(0, "it does not start with the magic bytes of a native index".into()));
    }
    let word = |at: usize| numbers.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word));
    let long = |at: usize| numbers.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |long| u64::from_le_bytes(*long));
    let Some(version) = Version::of(word(0)).filter(|_| word(4) == 0) else {
        return Err(StorageError::TooNew { path: path()?, found: word(0), supported: NEWEST });
    };
    let length = long(16);
    if length.checked_add(CHECKSUM as u64) != Some(rest.len() as u64) {
        let found = rest.len().saturating_sub(CHECKSUM);
        return Err(corrupt(24, format!("its body should have {length} bytes, but has {found}")));
    }
    let (body, stored) = rest.split_at(rest.len() - CHECKSUM);
    if checksum(&bytes[..HEADER + body.len()]) != stored {
        return Err(corrupt(HEADER + body.len(), "its checksum does not match its content".into()));
    }
    Ok(Frame { version, generation: long(8), body })
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    twox_hash::XxHash3_128::oneshot(bytes).to_le_bytes()
}

fn corrupt(offset: usize, reason: String) -> StorageError {
    match path() {
        Ok(path) => StorageError::Corrupt { path, offset: offset as u64, reason },
        Err(error) => error,
    }
}
