//! The format as the engine sees it.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{
    Ask, Checksum, DataName, Encoded, FileLayout, Format, Generation, Need, OpenedCheckpoint, Reply, Segment, Step,
    StorageError, StorePath, StreamTransform, Strictness, Transforms, WrittenFile, WrittenSegment,
};
use dcp_types::{GlobalPlan, Outline, Rank, RankPlan, WriteItem, WriteWhat};
use serde::{Deserialize, Serialize};

use crate::footer;
use crate::index::{self, FileFacts, Index};
use crate::layout::{LayoutRule, PlannedFile};
use crate::opened::OpenedNative;

/// The native format: version 3, and version 4 where there are transforms; with the older checksums versions 1 and 2.
///
/// ```
/// use dcp_native::NativeFormat;
/// // Four files a rank, for a file system that is faster with several.
/// let format = NativeFormat::new().files_per_rank(4);
/// ```
#[derive(Clone, Debug)]
pub struct NativeFormat {
    rule: LayoutRule,
    bytes_per_file: u64,
    checksum: Checksum,
    transforms: Transforms,
}

impl NativeFormat {
    /// One file a rank.
    #[must_use]
    pub fn new() -> Self {
        let rule = LayoutRule { files_per_rank: 1, align: 64, block: 64 << 10 };
        Self { rule, bytes_per_file: 0, checksum: Checksum::Crc32c, transforms: Transforms::new() }
    }

    /// What so many ranks write best, and what a save writes unless told otherwise. A file is written by one thread, so few ranks
    /// write several each if these are large: a save uses eight cores or so, and many ranks do not burden a file system with more files than they need.
    ///
    /// ```
    /// use dcp_native::NativeFormat;
    /// use dcp_storage::Checksum;
    /// let format = NativeFormat::for_ranks(4).checksum(Checksum::Crc32);
    /// ```
    #[must_use]
    pub fn for_ranks(ranks: usize) -> Self {
        const FILES: usize = 8;
        const BYTES_PER_FILE: u64 = 64 << 20;
        Self::new()
            .files_per_rank((FILES / ranks.max(1)) as u32)
            .bytes_per_file(BYTES_PER_FILE.saturating_mul(ranks as u64))
    }

    /// The same with several files a rank (at least 1), over which its chunks are spread by bytes.
    #[must_use]
    pub fn files_per_rank(mut self, files: u32) -> Self {
        self.rule.files_per_rank = files.max(1);
        self
    }

    /// The same with fewer files where the checkpoint is small: each rank writes one for every so many bytes that all tensors of the checkpoint have together,
    /// rather than as many as [`files_per_rank`](Self::files_per_rank) says, if that is less (0, and unless told: always as many as that).
    #[must_use]
    pub fn bytes_per_file(mut self, bytes: u64) -> Self {
        self.bytes_per_file = bytes;
        self
    }

    /// The same with another kind of checksum: [`Checksum::Crc32`] for readers that know no version but 1 and 2.
    #[must_use]
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = checksum;
        self
    }

    /// The same with one more transform. When writing each chunk and value goes through it, after those that were named before it; when reading it is
    /// known, besides `Zstd`, which is known anyway where the feature `zstd` is on.
    ///
    /// A slice of a chunk that went through a transform costs reading and decoding all of the chunk.
    #[must_use]
    pub fn transform(mut self, transform: impl StreamTransform + 'static) -> Self {
        self.transforms = self.transforms.with(transform);
        self
    }

    /// How the files of a checkpoint are laid out.
    fn rule(&self, outline: &Outline) -> LayoutRule {
        if self.rule.files_per_rank == 1 || self.bytes_per_file == 0 {
            return self.rule;
        }
        let tensors = outline.entries().filter_map(|(_, entry)| entry.as_tensor());
        let bytes = tensors.fold(0, |bytes: u64, tensor| bytes.saturating_add(tensor.nbytes()));
        let worth = u32::try_from(bytes / self.bytes_per_file).unwrap_or(u32::MAX);
        LayoutRule { files_per_rank: self.rule.files_per_rank.min(worth).max(1), ..self.rule }
    }

    fn layout(&self, file: PlannedFile, rank: Rank, generation: Generation) -> Result<FileLayout, StorageError> {
        let path = DataName { rank, number: file.number, generation }.path()?;
        if !self.transforms.is_empty() {
            return Ok(self.encoded_layout(file, path));
        }
        let item = |item| Segment::Item { item, checksum_block: self.rule.block, checksum: self.checksum };
        let mut segments = Vec::with_capacity(2 * file.chunks.len() + file.values.len() + 1);
        let expected_size = file.values.is_empty().then_some(file.chunks_end);
        for placed in file.chunks {
            segments.push(Segment::Align(self.rule.align));
            segments.push(item(placed.item));
        }
        segments.extend(file.values.into_iter().map(item));
        segments.push(Segment::Late(Box::new(|written| Ok(footer_of(written)))));
        Ok(FileLayout { path, expected_size, segments })
    }

    /// A file of layout rule 2.
    fn encoded_layout(&self, file: PlannedFile, path: StorePath) -> FileLayout {
        let items = file.chunks.into_iter().map(|placed| placed.item).chain(file.values);
        let encoded = |item| {
            let checksum = self.checksum;
            let segments = vec![Segment::Item { item, checksum_block: 0, checksum }];
            let (transforms, checksum_block) = (self.transforms.clone(), self.rule.block);
            Segment::Encoded(Encoded { transforms, segments, checksum_block, checksum })
        };
        let footer = Segment::Late(Box::new(|written| Ok(encoded_footer_of(written))));
        FileLayout { path, expected_size: None, segments: items.map(encoded).chain([footer]).collect() }
    }

    fn options(&self) -> Options {
        let (checksum, transforms) = (format!("{:?}", self.checksum), self.transforms.descriptors());
        Options { rule: self.rule, bytes_per_file: self.bytes_per_file, checksum, transforms }
    }

    /// What the index needs to know of a file.
    fn facts(&self, file: &WrittenFile) -> Option<FileFacts> {
        let number = DataName::parse(&file.path)?.number;
        let (footer, values) = if self.transforms.is_empty() {
            let is_value = |item: &WriteItem| item.what == WriteWhat::Value;
            let values = file.segments.iter().filter(|segment| segment.item.as_ref().is_some_and(is_value));
            (footer_of(&file.segments), values.map(|segment| segment.length).collect())
        } else {
            let items = file.segments.iter().filter(|segment| segment.item.is_some());
            (encoded_footer_of(&file.segments), vec![items.map(|segment| segment.length).sum()])
        };
        Some(FileFacts { number, size: file.size, footer_crc: self.checksum.of(&footer), values })
    }
}

impl Default for NativeFormat {
    fn default() -> Self {
        Self::new()
    }
}

impl Format for NativeFormat {
    fn name(&self) -> &'static str {
        "native"
    }

    fn index_path(&self) -> StorePath {
        match index::path() {
            Ok(path) => path,
            Err(_) => unreachable!("a constant that is a valid path"),
        }
    }

    fn check(&self, plan: &GlobalPlan) -> Result<(), StorageError> {
        let mut tensors = plan.metadata().entries().filter_map(|(fqn, entry)| Some((fqn, entry.as_tensor()?)));
        if let Some((fqn, _)) = tensors.find(|(_, tensor)| !index::can_hold(tensor)) {
            return Err(unsupported(&format!("{fqn}: too many strided shards")));
        }
        self.transforms.check().map_err(|what| unsupported(&what))
    }

    fn lay_out(&self, plan: &RankPlan, generation: Generation) -> Result<Vec<FileLayout>, StorageError> {
        let too_large = || unsupported(&format!("the files of rank {}", plan.rank()));
        let files = self.rule(plan.outline()).files_of(plan.items().to_vec()).ok_or_else(too_large)?;
        files.into_iter().map(|file| self.layout(file, plan.rank(), generation)).collect()
    }

    fn summarise(&self, files: &[WrittenFile]) -> Result<Bytes, StorageError> {
        let facts: Option<Vec<FileFacts>> = files.iter().map(|file| self.facts(file)).collect();
        let facts = facts.ok_or_else(|| unsupported("files that it did not lay out"))?;
        let summary = Summary { options: self.options(), facts };
        rmp_serde::to_vec(&summary).map(Bytes::from).map_err(|fault| unsupported(&fault.to_string()))
    }

    fn encode_index(
        &self,
        plan: &GlobalPlan,
        summaries: &[(Rank, Bytes)],
        generation: Generation,
    ) -> Result<Bytes, StorageError> {
        let own = self.options();
        let mut ranks = Vec::with_capacity(summaries.len());
        for (rank, summary) in summaries {
            let Summary { options, facts: mut files } = rmp_serde::from_slice(summary)
                .map_err(|fault| unsupported(&format!("the summary of rank {rank}: {fault}")))?;
            if own != options {
                let what = format!("ranks with different options: {own:?} here, {options:?} on rank {rank}");
                return Err(unsupported(&what));
            }
            files.sort_by_key(|file| file.number);
            if !files.is_empty() {
                ranks.push((*rank, files));
            }
        }
        ranks.sort_by_key(|(rank, _)| *rank);
        let (rule, checksum, transforms) = (self.rule(plan.outline()), self.checksum, own.transforms);
        let index = Index { generation, rule, checksum, transforms, plan: plan.clone(), ranks };
        // What is written can be opened again.
        index.check().map_err(|fault| unsupported(&fault.to_string()))?;
        index.encode()
    }

    fn generation(&self, index: &[u8]) -> Result<Generation, StorageError> {
        index::generation(index)
    }

    fn open(&self, _strictness: Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>> {
        Box::new(Open(self.transforms.clone()))
    }
}

/// Opens a checkpoint: needs the index.
struct Open(Transforms);

impl Ask for Open {
    type Output = Arc<dyn OpenedCheckpoint>;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Self::Output>, StorageError> {
        match replies.as_slice() {
            [Reply::Bytes(index)] => Ok(Step::Done(Arc::new(OpenedNative::decode(index, &self.0)?))),
            _ => Ok(Step::Needs(vec![Need::Whole(index::path()?)])),
        }
    }
}

/// What a rank tells the coordinator of its files.
#[derive(Serialize, Deserialize)]
struct Summary {
    options: Options,
    facts: Vec<FileFacts>,
}

/// What all ranks must agree on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Options {
    rule: LayoutRule,
    bytes_per_file: u64,
    checksum: String,
    transforms: Vec<String>,
}

fn footer_of(written: &[WrittenSegment]) -> Bytes {
    footer::encode(written.iter().flat_map(|segment| &segment.checksums))
}

fn encoded_footer_of(written: &[WrittenSegment]) -> Bytes {
    let items = || written.iter().filter(|segment| segment.item.is_some());
    let checksums = items().flat_map(|segment| &segment.checksums);
    footer::encode_with_lengths(items().map(|segment| segment.length), checksums)
}

fn unsupported(what: &str) -> StorageError {
    StorageError::Unsupported { format: "native", what: what.to_owned() }
}
