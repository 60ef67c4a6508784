//! The index files of several ranks as one.

use std::collections::HashSet;

use dcp_storage::{StorageError, StorePath};
use dcp_types::{Fqn, Region};
use indexmap::IndexMap;

use super::draft::{Draft, Kind, TensorDraft};
use super::flaw::{Findings, corrupt, short};

/// An entry, and the file to name if it is bad.
pub(super) type Entry<'p> = (&'p StorePath, Draft);

/// Joins what ranks list, in the order of ranks: a rank lists only its own chunks, and all list what is replicated. Of that, the lowest rank's
/// is taken.
pub(super) fn merge<'p>(
    ranks: Vec<(&'p StorePath, Vec<Draft>)>,
    findings: &mut Findings,
) -> Result<Vec<Entry<'p>>, StorageError> {
    let mut ranks = ranks.into_iter();
    let Some((path, drafts)) = ranks.next() else { return Ok(Vec::new()) };
    let first = drafts.into_iter().map(|draft| (path, draft));
    if ranks.len() == 0 {
        return Ok(first.collect());
    }
    let mut merged: IndexMap<Fqn, Joined<'p>> =
        first.map(|(path, draft)| (draft.fqn.clone(), Joined::new(path, draft))).collect();
    for (path, drafts) in ranks {
        for draft in drafts {
            match merged.get_mut(&draft.fqn) {
                None => drop(merged.insert(draft.fqn.clone(), Joined::new(path, draft))),
                Some(known) => {
                    let fqn = draft.fqn.clone();
                    if let Err(reason) = known.join(draft) {
                        let reason = format!("{}: {reason} than in {}", short(fqn.as_str()), known.path);
                        findings.add(Some(fqn), corrupt(path, reason))?;
                        known.bad = true;
                    }
                }
            }
        }
    }
    Ok(merged.into_values().filter(|joined| !joined.bad).map(|joined| (joined.path, joined.draft)).collect())
}

struct Joined<'p> {
    path: &'p StorePath,
    draft: Draft,
    regions: HashSet<Region>,
    bad: bool,
}

impl<'p> Joined<'p> {
    fn new(path: &'p StorePath, draft: Draft) -> Self {
        // A region that one file lists twice stays twice, to be found later.
        let regions = match &draft.kind {
            Kind::Tensor(tensor) => tensor.regions.iter().cloned().collect(),
            Kind::Value(_) => HashSet::new(),
        };
        Self { path, draft, regions, bad: false }
    }

    fn join(&mut self, other: Draft) -> Result<(), &'static str> {
        if self.draft.path != other.path {
            return Err("it has another path");
        }
        match (&mut self.draft.kind, other.kind) {
            (Kind::Value(_), Kind::Value(_)) => Ok(()),
            (Kind::Tensor(tensor), Kind::Tensor(TensorDraft { dtype, shape, regions, slots })) => {
                if (tensor.dtype, &tensor.shape) != (dtype, &shape) {
                    return Err("it has another shape or dtype");
                }
                for (region, slot) in regions.into_iter().zip(slots) {
                    if self.regions.insert(region.clone()) {
                        tensor.regions.push(region);
                        tensor.slots.push(slot);
                    }
                }
                Ok(())
            }
            _ => Err("it is something else"),
        }
    }
}
