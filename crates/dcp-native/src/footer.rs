//! The footer of a data file: the CRC-32 of every block of every item, in order, as little-endian 32-bit numbers.

use bytes::Bytes;

/// How many checksums items of these lengths have.
pub(crate) fn entries(lengths: impl Iterator<Item = u64>, block: u64) -> Option<u64> {
    lengths.map(|length| length.div_ceil(block)).try_fold(0u64, u64::checked_add)
}

/// The footer with these checksums.
pub(crate) fn encode<'a>(checksums: impl Iterator<Item = &'a u32>) -> Bytes {
    checksums.flat_map(|checksum| checksum.to_le_bytes()).collect::<Vec<u8>>().into()
}

/// The checksums in a footer.
pub(crate) fn decode(footer: &[u8]) -> Vec<u32> {
    footer.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}
