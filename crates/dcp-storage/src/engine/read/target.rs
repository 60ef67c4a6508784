//! Where bytes go.

use dcp_types::{DataError, DataSink, ViewMut};

/// Where the bytes of one task go.
pub(super) enum Target<'a> {
    Bytes(&'a mut [u8]),
    View(ViewMut<'a>),
    Sink(Box<dyn DataSink + 'a>),
    /// They are read for their checksums.
    Nowhere,
}

/// A target that is filled in order, a piece at a time.
pub(super) enum Delivery<'a> {
    Bytes(&'a mut [u8]),
    /// How many bytes of it are filled.
    View(ViewMut<'a>, u64),
    Sink(Box<dyn DataSink + 'a>),
    Nowhere,
}

impl Delivery<'_> {
    pub(super) fn deliver(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        match self {
            Self::Sink(sink) => sink.write(bytes),
            Self::View(view, offset) => {
                view.write_at(*offset, bytes)?;
                *offset += bytes.len() as u64;
                Ok(())
            }
            Self::Bytes(rest) => {
                let (now, later) = std::mem::take(rest).split_at_mut(bytes.len());
                now.copy_from_slice(bytes);
                *rest = later;
                Ok(())
            }
            Self::Nowhere => Ok(()),
        }
    }
}

impl<'a> From<Target<'a>> for Delivery<'a> {
    fn from(target: Target<'a>) -> Self {
        match target {
            Target::Bytes(bytes) => Self::Bytes(bytes),
            Target::View(view) => Self::View(view, 0),
            Target::Sink(sink) => Self::Sink(sink),
            Target::Nowhere => Self::Nowhere,
        }
    }
}
