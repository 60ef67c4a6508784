//! One audit, under way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use dcp_storage::Locator;
use dcp_types::{Fqn, ReadItem, ReadWhat};

use super::overlaps::Overlaps;
use super::{Audit, Auditor, Defect};
use crate::{Checkpoint, Error};

pub(super) struct Run<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) quick: bool,
    progress: &'a (dyn Fn(u64) + Send + Sync),
    pub(super) audit: Audit,
    pub(super) overlaps: Overlaps,
    /// Bad chunks, by tensor.
    bad: HashMap<usize, usize>,
}

impl<'a> Run<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint, how: &Auditor<'a>) -> Self {
        let mut audit = Audit::new(checkpoint.location().to_owned());
        audit.format = Some(checkpoint.format());
        let (overlaps, bad) = Default::default();
        Self { checkpoint, quick: how.quick, progress: how.progress, audit, overlaps, bad }
    }

    pub(super) fn finish(mut self) -> Result<Audit, Error> {
        for finding in self.checkpoint.findings() {
            let defect = Defect::of(&finding.fault);
            self.audit.defects.push(Defect { fqn: finding.fqn.clone().or(defect.fqn), is_fault: true, ..defect });
        }
        for (_, entry) in self.checkpoint.metadata().entries() {
            match entry.as_tensor() {
                Some(tensor) => {
                    self.audit.tensors += 1;
                    self.audit.chunks = self.audit.chunks.saturating_add(tensor.chunk_count());
                }
                None => self.audit.values += 1,
            }
        }
        let (read, progress) = (AtomicU64::new(0), self.progress);
        let count = |bytes| {
            read.fetch_add(bytes, Ordering::Relaxed);
            progress(bytes);
        };
        let io = self.checkpoint.io().clone().with_progress(&count);
        self.chunks(&io)?;
        self.values(&io)?;
        let metadata = self.checkpoint.metadata();
        let name = |entry| metadata.entry(entry).map(|(fqn, _)| fqn.clone());
        self.audit.defects.extend(self.overlaps.defects(&name));
        self.audit.files = self.overlaps.files();
        self.audit.read = read.into_inner();
        Ok(self.audit)
    }

    /// Whether so much of a tensor is bad that the rest is not looked at.
    pub(super) fn is_given_up(&self, entry: usize) -> bool {
        self.bad.get(&entry).is_some_and(|bad| *bad >= Audit::MAX_DEFECTS)
    }

    /// Notes what is wrong with an item.
    pub(super) fn blame(&mut self, item: &ReadItem, at: Option<&Locator>, error: Error) -> Result<(), Error> {
        let Some(defect) = Defect::new(&error) else { return Err(error) };
        let bad = self.bad.entry(item.entry).or_default();
        if *bad >= Audit::MAX_DEFECTS {
            self.audit.unlisted += 1;
            return Ok(());
        }
        *bad += 1;
        let region = match &item.what {
            ReadWhat::Region { chunk, .. } => Some(chunk.region.clone()),
            ReadWhat::Value => None,
        };
        let fqn = Some(self.name(item.entry));
        self.audit.defects.push(Defect { fqn, region, ..defect }.at(at));
        Ok(())
    }

    pub(super) fn name(&self, entry: usize) -> Fqn {
        self.checkpoint.metadata().entry(entry).map_or("?".into(), |(fqn, _)| fqn.clone())
    }
}
