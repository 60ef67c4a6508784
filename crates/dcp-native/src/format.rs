//! The format as the engine sees it.

use std::sync::Arc;

use bytes::Bytes;
use dcp_storage::{
    Ask, DataName, FileLayout, Format, Generation, Need, OpenedCheckpoint, Reply, Segment, Step, StorageError,
    StorePath, Strictness, WrittenFile, WrittenSegment,
};
use dcp_types::{GlobalPlan, Rank, WriteItem, WriteWhat};

use crate::footer;
use crate::index::{self, FileFacts, Index};
use crate::layout::{LayoutRule, PlannedFile};
use crate::opened::OpenedNative;

/// The native format, version 1.
///
/// ```
/// use dcp_native::NativeFormat;
/// // Four files a rank, for a file system that is faster with several.
/// let format = NativeFormat::new().files_per_rank(4);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NativeFormat {
    rule: LayoutRule,
}

impl NativeFormat {
    /// One file a rank.
    #[must_use]
    pub fn new() -> Self {
        Self { rule: LayoutRule { files_per_rank: 1, align: 64, block: 64 << 10 } }
    }

    /// The same with several files a rank (at least 1), over which its chunks are spread by bytes.
    #[must_use]
    pub fn files_per_rank(mut self, files: u32) -> Self {
        self.rule.files_per_rank = files.max(1);
        self
    }

    fn layout(&self, file: PlannedFile, rank: Rank, generation: Generation) -> Result<FileLayout, StorageError> {
        let item = |item| Segment::Item { item, checksum_block: self.rule.block };
        let mut segments = Vec::with_capacity(2 * file.chunks.len() + file.values.len() + 1);
        let expected_size = file.values.is_empty().then_some(file.chunks_end);
        for placed in file.chunks {
            segments.push(Segment::Align(self.rule.align));
            segments.push(item(placed.item));
        }
        segments.extend(file.values.into_iter().map(item));
        segments.push(Segment::Late(Box::new(|written| Ok(footer_of(written)))));
        let path = DataName { rank, number: file.number, generation }.path()?;
        Ok(FileLayout { path, expected_size, segments })
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

    fn lay_out(&self, plan: &GlobalPlan, rank: Rank, generation: Generation) -> Result<Vec<FileLayout>, StorageError> {
        let too_large = || unsupported(&format!("the files of rank {rank}"));
        let mut tensors = plan.metadata().entries().filter_map(|(fqn, entry)| Some((fqn, entry.as_tensor()?)));
        if let Some((fqn, _)) = tensors.find(|(_, tensor)| !index::can_hold(tensor)) {
            return Err(unsupported(&format!("{fqn}: too many strided shards")));
        }
        let files = self.rule.files_of(plan, rank).ok_or_else(too_large)?;
        files.into_iter().map(|file| self.layout(file, rank, generation)).collect()
    }

    fn summarise(&self, files: &[WrittenFile]) -> Result<Bytes, StorageError> {
        let facts: Option<Vec<FileFacts>> = files.iter().map(facts).collect();
        let facts = facts.ok_or_else(|| unsupported("files that it did not lay out"))?;
        rmp_serde::to_vec(&(self.rule, facts)).map(Bytes::from).map_err(|fault| unsupported(&fault.to_string()))
    }

    fn encode_index(
        &self,
        plan: &GlobalPlan,
        summaries: &[(Rank, Bytes)],
        generation: Generation,
    ) -> Result<Bytes, StorageError> {
        let mut ranks = Vec::with_capacity(summaries.len());
        for (rank, summary) in summaries {
            let (rule, mut files): (LayoutRule, Vec<FileFacts>) = rmp_serde::from_slice(summary)
                .map_err(|fault| unsupported(&format!("the summary of rank {rank}: {fault}")))?;
            if rule != self.rule {
                return Err(unsupported(&format!(
                    "ranks with different options: {:?} here, {rule:?} on rank {rank}",
                    self.rule
                )));
            }
            files.sort_by_key(|file| file.number);
            if !files.is_empty() {
                ranks.push((*rank, files));
            }
        }
        ranks.sort_by_key(|(rank, _)| *rank);
        let index = Index { generation, rule: self.rule, plan: plan.clone(), ranks };
        // What is written can be opened again.
        index.check().map_err(|fault| unsupported(&fault.to_string()))?;
        index.encode()
    }

    fn generation(&self, index: &[u8]) -> Result<Generation, StorageError> {
        index::generation(index)
    }

    fn open(&self, _strictness: Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>> {
        Box::new(Open)
    }
}

/// Opens a checkpoint: needs the index.
struct Open;

impl Ask for Open {
    type Output = Arc<dyn OpenedCheckpoint>;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Self::Output>, StorageError> {
        match replies.as_slice() {
            [Reply::Bytes(index)] => Ok(Step::Done(Arc::new(OpenedNative::decode(index)?))),
            _ => Ok(Step::Needs(vec![Need::Whole(index::path()?)])),
        }
    }
}

fn footer_of(written: &[WrittenSegment]) -> Bytes {
    footer::encode(written.iter().flat_map(|segment| &segment.checksums))
}

fn facts(file: &WrittenFile) -> Option<FileFacts> {
    let is_value = |item: &WriteItem| item.what == WriteWhat::Value;
    let values = file.segments.iter().filter(|segment| segment.item.as_ref().is_some_and(is_value));
    Some(FileFacts {
        number: DataName::parse(&file.path)?.number,
        size: file.size,
        footer_crc: crc32fast::hash(&footer_of(&file.segments)),
        values: values.map(|segment| segment.length).collect(),
    })
}

fn unsupported(what: &str) -> StorageError {
    StorageError::Unsupported { format: "native", what: what.to_owned() }
}
