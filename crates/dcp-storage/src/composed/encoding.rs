//! Values as a format has them.

use bytes::Bytes;
use dcp_types::{RankPlan, Source, WriteItem, WriteWhat};

use crate::{Format, StorageError, WriteSource};

/// What a source gives, with its values encoded.
pub(super) struct Encoding<'a> {
    pub(super) source: &'a dyn WriteSource,
    pub(super) format: &'a dyn Format,
    pub(super) plan: &'a RankPlan,
}

impl Encoding<'_> {
    /// The values that the rank writes, by the numbers of their entries, as far as they are wanted.
    pub(super) fn values(&self, is_wanted: impl Fn(usize) -> bool) -> Result<Vec<(usize, Bytes)>, StorageError> {
        let mut values = Vec::new();
        for item in self.plan.items() {
            if item.what == WriteWhat::Value
                && is_wanted(item.entry)
                && let Source::Bytes(bytes) = self.source(item)?
            {
                values.push((item.entry, bytes));
            }
        }
        Ok(values)
    }
}

impl WriteSource for Encoding<'_> {
    fn source(&self, item: &WriteItem) -> Result<Source<'_>, StorageError> {
        let content = self.source.source(item)?;
        if item.what != WriteWhat::Value {
            return Ok(content);
        }
        let fqn = || self.plan.outline().name(item.entry);
        match content {
            Source::Value(value) => Ok(Source::Bytes(self.format.encode_value(&fqn(), &value)?)),
            other => Err(StorageError::NoSource { fqn: fqn(), source: format!("{other:?} is no value").into() }),
        }
    }
}
