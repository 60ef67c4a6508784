//! Checksums that find damage. They can be combined: that of two neighbours follows from theirs.

use crc_fast::{CrcAlgorithm, Digest};

/// A kind of checksum of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-32 as zlib, zip and PNG have it (CRC-32/ISO-HDLC).
    Crc32,
    /// CRC-32C as iSCSI, ext4 and object stores have it (Castagnoli; RFC 3720, CRC-32/ISCSI). Processors have an instruction for it.
    Crc32c,
}

impl Checksum {
    /// The checksum of some bytes.
    ///
    /// ```
    /// use dcp_storage::Checksum;
    /// assert_eq!(Checksum::Crc32.of(b"123456789"), 0xcbf4_3926);
    /// assert_eq!(Checksum::Crc32c.of(b"123456789"), 0xe306_9283);
    /// ```
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> u32 {
        crc_fast::checksum(self.algorithm(), bytes) as u32
    }

    fn algorithm(self) -> CrcAlgorithm {
        match self {
            Self::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
        }
    }
}

/// A checksum of bytes that come one after the other.
pub(crate) struct Hasher(Digest);

impl Hasher {
    pub(crate) fn new(checksum: Checksum) -> Self {
        Self(Digest::new(checksum.algorithm()))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Goes on with what another one of the same kind has seen.
    pub(crate) fn combine(&mut self, next: &Self) {
        self.0.combine(&next.0);
    }

    pub(crate) fn finalize(&self) -> u32 {
        self.0.finalize() as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_combine(bytes in proptest::collection::vec(any::<u8>(), 0..20_000), at in any::<prop::sample::Index>()) {
            let (front, back) = bytes.split_at(at.index(bytes.len() + 1));
            for kind in [Checksum::Crc32, Checksum::Crc32c] {
                let [mut first, mut second] = [front, back].map(|part| {
                    let mut hasher = Hasher::new(kind);
                    part.chunks(777).for_each(|piece| hasher.update(piece));
                    hasher
                });
                prop_assert_eq!(second.finalize(), kind.of(back));
                first.combine(&second);
                prop_assert_eq!(first.finalize(), kind.of(&bytes));
                second.update(front);
            }
        }

        #[test]
        fn both_are_what_others_take_for_it(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert_eq!(Checksum::Crc32.of(&bytes), crc32fast::hash(&bytes));
            prop_assert_eq!(Checksum::Crc32c.of(&bytes), bit_by_bit(&bytes));
        }
    }

    /// By the definition in RFC 3720, B.4, reflected.
    fn bit_by_bit(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 })
        })
    }
}
