//! Files as if they had been written.

use dcp_storage::{FileLayout, Segment, StorageError, WrittenFile, WrittenSegment};
use dcp_types::WriteWhat;

/// A value takes about as many bytes.
const VALUE: u64 = 9;

/// What writing a file would have brought. Nobody looks at its checksums.
pub(crate) fn written(layout: FileLayout) -> Result<WrittenFile, StorageError> {
    let mut segments: Vec<WrittenSegment> = Vec::with_capacity(layout.segments.len());
    let mut size = 0u64;
    for segment in layout.segments {
        let (mut item, mut checksums, offset) = (None, Vec::new(), size);
        size += match segment {
            Segment::Bytes(bytes) => bytes.len() as u64,
            Segment::Late(late) => late(&segments)?.len() as u64,
            Segment::Align(to) => offset.next_multiple_of(to) - offset,
            Segment::Item { item: written, checksum_block, .. } => {
                let length = if let WriteWhat::Chunk(_, length) = written.what { length } else { VALUE };
                let blocks = if checksum_block == 0 { 0 } else { length.div_ceil(checksum_block) };
                checksums = vec![0; blocks as usize];
                item = Some(written);
                length
            }
            other => {
                let what = format!("{other:?} in a file that is not really written");
                return Err(StorageError::Unsupported { format: "instructions", what });
            }
        };
        segments.push(WrittenSegment { offset, length: size - offset, item, checksums });
    }
    Ok(WrittenFile { path: layout.path, size, segments })
}
