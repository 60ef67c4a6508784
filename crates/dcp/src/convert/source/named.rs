//! Sources that say of which tensor they are.

use dcp_types::{DType, DataError, DataSource, Fqn};

use super::Origin;

/// Why a tensor or value could not be read from the source.
#[derive(Debug, thiserror::Error)]
#[error("{fqn}: {source}")]
pub(in crate::convert) struct Failed {
    pub(in crate::convert) fqn: Fqn,
    pub(in crate::convert) source: DataError,
}

/// The source of a chunk: it stops when it is asked to, tells of what it has handed over, and names the tensor when it fails.
pub(super) struct Named<'a> {
    pub(super) fqn: Fqn,
    pub(super) origin: &'a Origin<'a>,
    pub(super) inner: Box<dyn DataSource + 'a>,
}

impl DataSource for Named<'_> {
    fn dtype(&self) -> DType {
        self.inner.dtype()
    }

    fn shape(&self) -> Vec<u64> {
        self.inner.shape()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        let read = self.origin.go_on().and_then(|()| self.inner.read_at(offset, out));
        read.map_err(|source| Failed { fqn: self.fqn.clone(), source })?;
        (self.origin.advance)(out.len() as u64);
        Ok(())
    }
}
