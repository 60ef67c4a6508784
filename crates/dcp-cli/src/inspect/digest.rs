//! The digest of a tensor of any size, in little memory.

use dcp::crates::dcp_storage::{BlockChecks, Io, Locator};
use dcp::crates::dcp_types::{ReadItem, TensorEntry};
use dcp::{Checkpoint, Error, Region, Verify, ViewMut};
use sha2::{Digest, Sha256};

/// The SHA-256 of bytes in pieces, in hex.
pub(super) fn of<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    pieces.for_each(|piece| hash.update(piece));
    hex(&hash.finalize())
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes digests with one buffer.
#[derive(Debug)]
pub(super) struct Digester {
    buffer: Vec<u8>,
    /// The most that is held of a tensor, in bytes.
    slab: u64,
}

impl Default for Digester {
    fn default() -> Self {
        Self { buffer: Vec::new(), slab: 8 << 20 }
    }
}

impl Digester {
    /// The SHA-256 of a tensor's row-major little-endian bytes, in hex. All of them are checked before it is known.
    pub(super) fn sha256(&mut self, checkpoint: &Checkpoint, fqn: &str, tensor: &TensorEntry) -> Result<String, Error> {
        let mut hash = Sha256::new();
        let size = tensor.dtype.size();
        let checked_before = tensor.nbytes() > self.slab && self.is_checked_only_whole(checkpoint, fqn, tensor)?;
        if checked_before {
            checkpoint.check(fqn)?;
        }
        let checkpoint = checkpoint.clone().verify(if checked_before { Verify::Covered } else { Verify::All });
        for slab in Region::full(&tensor.shape).slabs(self.slab / size) {
            let length = (slab.numel() * size) as usize;
            if self.buffer.len() < length {
                self.buffer.resize(length, 0);
            }
            let buffer = &mut self.buffer[..length];
            checkpoint.read_into(fqn, &slab, ViewMut::from_bytes(tensor.dtype, slab.sizes(), buffer)?)?;
            hash.update(&*buffer);
        }
        Ok(hex(&hash.finalize()))
    }

    /// Whether checking slab by slab would read some chunk again and again: it has one checksum for very many bytes, or lies in
    /// another order than slabs follow each other.
    fn is_checked_only_whole(&self, checkpoint: &Checkpoint, fqn: &str, tensor: &TensorEntry) -> Result<bool, Error> {
        let Some((entry, _)) = checkpoint.metadata().find(fqn) else { return Ok(false) };
        let mut chunks = tensor.all_chunks().map(|chunk| ReadItem::whole_chunk(entry, chunk)).peekable();
        let only_whole = |locator: &Locator| match locator {
            Locator::Extent(extent) => {
                let is_large = |checks: &BlockChecks| checks.block > self.slab.min(Io::READ_BUFFER);
                extent.checks.as_ref().is_some_and(|checks| is_large(checks) || extent.layout.strides.is_some())
            }
            _ => false,
        };
        while chunks.peek().is_some() {
            let located = checkpoint.locate(chunks.by_ref().take(CHUNKS).collect())?;
            if located.iter().any(only_whole) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// So many chunks are located at a time.
const CHUNKS: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a tensor has one checksum for more than a slab.
    #[test]
    fn no_slab_of_a_damaged_tensor_gets_a_digest() {
        let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/torch/01_nested");
        let dir = tempfile::tempdir().expect("temporary directory");
        for name in [".metadata", "__0_0.distcp"] {
            std::fs::copy(fixture.join(name), dir.path().join(name)).expect("copied");
        }
        let checkpoint = Checkpoint::open(dir.path()).expect("opens");
        let small = || Digester { buffer: Vec::new(), slab: 16 };
        let large = checkpoint.metadata().entries().enumerate();
        let large = large.filter_map(|(number, (fqn, entry))| Some((number, fqn.clone(), entry.as_tensor()?.clone())));
        let (entry, fqn, tensor) =
            large.max_by_key(|(_, _, tensor)| tensor.nbytes()).expect("a tensor of several slabs");
        assert!(
            tensor.nbytes() > 32 && small().is_checked_only_whole(&checkpoint, fqn.as_str(), &tensor).expect("located")
        );
        let whole = Digester::default().sha256(&checkpoint, fqn.as_str(), &tensor).expect("sound");
        assert_eq!(small().sha256(&checkpoint, fqn.as_str(), &tensor).expect("sound"), whole);

        let chunk = tensor.all_chunks().next().expect("a chunk");
        let located = checkpoint.locate(vec![ReadItem::whole_chunk(entry, chunk)]).expect("located");
        let Some(Locator::Extent(extent)) = located.first() else { panic!("{located:?}") };
        let path = dir.path().join(extent.file.as_str());
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[(extent.offset + extent.length - 1) as usize] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        for mut digester in [small(), Digester::default()] {
            let error = digester.sha256(&checkpoint, fqn.as_str(), &tensor).expect_err("damaged");
            assert!(error.is_bad_checkpoint() && error.to_string().contains("is damaged"), "{error}");
        }
    }
}
