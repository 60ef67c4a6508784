//! Writes segments through transforms.

use dcp_types::WriteWhat;
use futures_util::future::BoxFuture;

use super::sums::BlockSums;
use super::write::OpenFile;
use crate::format::longest_value;
use crate::transform::{Chain, Failed};
use crate::{Encoded, StorageError, StorePath, WriteSource, WrittenSegment};

/// A stream that is being encoded.
pub(super) struct Encoding {
    chain: Chain,
    /// Of what is encoded.
    sums: BlockSums,
    /// How many bytes went in.
    position: u64,
    /// What has just come out.
    made: Vec<u8>,
}

impl Encoding {
    pub(super) fn position(&self) -> u64 {
        self.position
    }
}

impl OpenFile<'_> {
    /// Writes segments as one that is encoded.
    pub(super) fn write_encoded<'f>(
        &'f mut self,
        encoded: Encoded,
        source: &'f dyn WriteSource,
    ) -> BoxFuture<'f, Result<WrittenSegment, StorageError>> {
        Box::pin(async move {
            if self.encoding.is_some() {
                return Err(unsupported("segments that are encoded twice"));
            }
            let Encoded { transforms, segments, checksum_block, checksum } = encoded;
            let (offset, chain) = (self.position(), transforms.encoder().map_err(|failed| fault(failed, &self.path))?);
            let sums = BlockSums::new(checksum_block, checksum);
            self.encoding = Some(Encoding { chain, sums, position: 0, made: Vec::new() });
            let mut written = Vec::with_capacity(segments.len());
            for segment in segments {
                written.push(self.write(segment, &written, source).await?);
            }
            let (length, checksums) = self.end_encoding(offset).await?;
            let item = written.into_iter().find_map(|segment| Some((segment.item?, segment.length)));
            if let Some((item, plain)) = &item
                && item.what == WriteWhat::Value
                && *plain > longest_value(length)
            {
                // Who reads it would have to take the word of a few bytes for it.
                return Err(unsupported(&format!("a value of {plain} bytes that are {length} when they are encoded")));
            }
            Ok(WrittenSegment { offset, length, item: item.map(|(item, _)| item), checksums })
        })
    }

    /// Encodes some more bytes, and writes what that makes.
    pub(super) async fn put_encoded(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let Some(mut encoding) = self.encoding.take() else { return Ok(()) };
        let mut rest = bytes;
        while !rest.is_empty() {
            encoding.made.clear();
            let taken = encoding.chain.code(rest, &mut encoding.made).map_err(|failed| fault(failed, &self.path))?;
            rest = &rest[taken..];
            encoding.sums.add(&encoding.made);
            self.put_as_is(&encoding.made).await?;
        }
        encoding.position += bytes.len() as u64;
        self.encoding = Some(encoding);
        Ok(())
    }

    /// Writes what is left. Returns how many encoded bytes there are from `offset` on, and their checksums.
    async fn end_encoding(&mut self, offset: u64) -> Result<(u64, Vec<u32>), StorageError> {
        let Some(mut encoding) = self.encoding.take() else { return Ok((0, Vec::new())) };
        loop {
            encoding.made.clear();
            let has_ended = encoding.chain.finish(&mut encoding.made).map_err(|failed| fault(failed, &self.path))?;
            encoding.sums.add(&encoding.made);
            self.put_as_is(&encoding.made).await?;
            if has_ended {
                return Ok((self.position() - offset, encoding.sums.finish()));
            }
        }
    }
}

fn fault(Failed { transform, source }: Failed, path: &StorePath) -> StorageError {
    StorageError::Unencodable { path: path.clone(), transform: transform.to_string(), source }
}

fn unsupported(what: &str) -> StorageError {
    StorageError::Unsupported { format: "with transforms", what: what.to_owned() }
}
