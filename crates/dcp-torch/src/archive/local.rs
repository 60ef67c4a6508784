//! The header before each entry of an archive.

use super::fields::Fields;

/// A local header, as far as it counts: sizes and checksums are taken from the directory.
pub(crate) struct LocalHeader {
    /// The length of the name, which comes next.
    pub(crate) name: u16,
    /// The length of the extra field, which comes before the content.
    pub(crate) extra: u16,
}

impl LocalHeader {
    pub(crate) const SIGNATURE: u32 = 0x0403_4b50;
    /// Its length in bytes, without its variable parts.
    pub(crate) const LENGTH: usize = 30;

    /// Reads the header that some bytes start with, if they do.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        if fields.u32() != Self::SIGNATURE {
            return None;
        }
        fields.skip(22);
        Some(Self { name: fields.u16(), extra: fields.u16() })
    }
}
