//! What is true of every pickle that is pickled again; for tests with any input.

use std::collections::BTreeSet;

use super::read::read;
use super::recipe::Recipes;
use super::splice::Splice;
use crate::pickle::{Fault, Pickler, Protocol};

/// Pickles again what can be: it must then be as readable as before, name nothing new, and stay the same from then on.
pub(crate) fn check_again(pickle: &[u8]) {
    let Some(written) = again(pickle) else { return };
    if let Some(names) = names(pickle)
        && let Some(found) = self::names(&written)
    {
        assert!(found.is_subset(&names), "{found:?} of {names:?}");
    }
    if let Some(twice) = again(&written) {
        assert_eq!(twice.escape_ascii().to_string(), written.escape_ascii().to_string());
    }
}

/// `None` if it is no pickle, or none that can be pickled again.
fn again(pickle: &[u8]) -> Option<Vec<u8>> {
    let (root, recipes) = Recipes::read(pickle).ok()?;
    let mut pickler = Pickler::new(Protocol::Two);
    let mut keys = indexmap::IndexSet::new();
    let mut number = |stored: super::splice::Stored<'_>| Ok(keys.insert_full(stored.key.to_owned()).0);
    Splice::new(&recipes, &mut pickler, &mut number).node(&root).ok()?;
    let written = pickler.finish();
    // Limits follow the length, and it may be shorter than before.
    if let Err(fault) = Recipes::read(&written) {
        assert!(matches!(*fault.fault, Fault::Limit { .. }), "{}: {fault}", written.escape_ascii());
    }
    Some(written)
}

/// The foreign globals of a pickle that is sound.
fn names(pickle: &[u8]) -> Option<BTreeSet<String>> {
    let (names, _) = read(pickle, |_, objects| Ok(objects.foreign().map(str::to_owned).collect())).ok()?;
    Some(names)
}
