//! Indexes of which only claims tell: those of formats whose names nobody knows here.

use std::collections::BTreeSet;

use super::claim;
use crate::names::claimed_generation;
use crate::{ObjectMeta, Role, StorageError, Store, StorePath};

/// The indexes in a listing that a claim in it names, but for those that are known anyway.
///
/// What a claim says comes from outside. So a name of nothing that is there changes nothing, and any other one only keeps things from being
/// removed or replaced.
pub(super) async fn named_indexes(
    store: &dyn Store,
    listing: &[ObjectMeta],
    is_known: impl Fn(&StorePath) -> bool + Send,
) -> Result<BTreeSet<StorePath>, StorageError> {
    let is_other = |path: &StorePath| matches!(Role::of(path), Some(Role::Data(_) | Role::Claim(_)));
    let paths = listing.iter().map(|object| &object.path);
    let candidates: BTreeSet<&StorePath> = paths.filter(|path| !is_known(path) && !is_other(path)).collect();
    let mut named = BTreeSet::new();
    if candidates.is_empty() {
        // As in most directories, so that no claim has to be read there.
        return Ok(named);
    }
    for generation in listing.iter().filter_map(|object| claimed_generation(&object.path)) {
        let index = claim::on_record(store, generation).await?.and_then(|claim| claim.index);
        named.extend(index.filter(|index| candidates.contains(index)));
    }
    Ok(named)
}
