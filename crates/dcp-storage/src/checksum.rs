//! Checksums that find damage. They can be combined: that of two neighbours follows from theirs.

use std::mem;

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
        match self {
            Self::Crc32 => crc32fast::hash(bytes),
            Self::Crc32c => crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32,
        }
    }
}

/// A checksum of bytes that come one after the other.
#[derive(Clone)]
pub(crate) enum Hasher {
    Crc32(crc32fast::Hasher),
    Crc32c(Box<Digest>),
}

impl Hasher {
    pub(crate) fn new(checksum: Checksum) -> Self {
        match checksum {
            Checksum::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
            Checksum::Crc32c => Self::Crc32c(Box::new(Digest::new(CrcAlgorithm::Crc32Iscsi))),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(digest) => digest.update(bytes),
        }
    }

    /// Goes on with what another one of the same kind has seen.
    pub(crate) fn combine(&mut self, next: &Self) {
        match (self, next) {
            (Self::Crc32(hasher), Self::Crc32(next)) => hasher.combine(next),
            (Self::Crc32c(digest), Self::Crc32c(next)) => digest.combine(next),
            _ => unreachable!("checksums of one kind are combined"),
        }
    }

    /// The checksum. From here on it is that of other bytes: a new one would do as well, but is made of 300 bytes.
    pub(crate) fn take(&mut self) -> u32 {
        match self {
            Self::Crc32(hasher) => mem::take(hasher).finalize(),
            Self::Crc32c(digest) => digest.finalize_reset() as u32,
        }
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
                let [mut first, second] = [front, back].map(|part| {
                    let mut hasher = Hasher::new(kind);
                    part.chunks(777).for_each(|piece| hasher.update(piece));
                    hasher
                });
                prop_assert_eq!(second.clone().take(), kind.of(back));
                first.combine(&second);
                prop_assert_eq!(first.take(), kind.of(&bytes));
                first.update(back);
                prop_assert_eq!(first.take(), kind.of(back));
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
