//! Which entries of a checkpoint are meant, and what they will be called.

use std::collections::HashMap;

use dcp_types::{Fqn, Metadata, StatePath};

use super::rename::Rename;
use crate::Error;
use crate::pattern::Patterns;

/// The choice of entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub(super) meant: Patterns,
    pub(super) renames: Vec<Rename>,
}

/// An entry that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Its number in the source.
    pub(super) entry: usize,
    /// Its place in the destination.
    pub(super) path: StatePath,
}

impl Selection {
    /// The entries that are meant, in the order of the source.
    pub(super) fn choose(&self, metadata: &Metadata, location: &str) -> Result<Vec<Chosen>, Error> {
        let nothing = |choice: String| Error::NothingChosen { location: location.to_owned(), choice };
        let mut renamed = vec![false; self.renames.len()];
        let mut chosen = Vec::new();
        for (entry, (fqn, leaf)) in metadata.entries().enumerate() {
            if !self.meant.take(fqn) {
                continue;
            }
            let new = self.renames.iter().zip(&mut renamed).find_map(|(rename, used)| {
                let path = rename.apply(&leaf.path)?;
                *used = true;
                Some(path)
            });
            let path = new.unwrap_or_else(|| leaf.path.clone());
            chosen.push(Chosen { entry, path });
        }
        distinct(&chosen, metadata)?;
        self.meant.check(|| metadata.entries().map(|(fqn, _)| fqn), || location.to_owned())?;
        if chosen.is_empty() && !metadata.is_empty() {
            return Err(nothing("what is left after the patterns to exclude".into()));
        }
        if let Some(number) = renamed.iter().position(|used| !used) {
            return Err(nothing(format!("the old name {:?}", self.renames[number].old)));
        }
        Ok(chosen)
    }
}

/// Refuses two entries that would get one name.
pub(super) fn distinct(chosen: &[Chosen], metadata: &Metadata) -> Result<(), Error> {
    let mut names: HashMap<Fqn, usize> = HashMap::with_capacity(chosen.len());
    let of = |entry| metadata.entry(entry).map_or("?".into(), |(fqn, _)| fqn.to_string());
    for Chosen { entry, path } in chosen {
        let name = path.fqn();
        if let Some(&other) = names.get(&name) {
            return Err(Error::SameName { name: name.to_string(), first: of(other), second: of(*entry) });
        }
        names.insert(name, *entry);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dcp_types::{DictKey, Entry, EntryKind, Segment};

    use super::*;

    fn metadata(names: &[&str]) -> Metadata {
        let path = |name: &str| StatePath::new(vec![Segment::Key(DictKey::from(name))]);
        let entries = names.iter().map(|name| Entry { path: path(name), kind: EntryKind::Value });
        Metadata::new(entries).expect("distinct")
    }

    fn choose(include: &[&str], exclude: &[&str], renames: &[(&str, &str)]) -> Result<Vec<String>, Error> {
        let mut meant = Patterns::default();
        include.iter().try_for_each(|pattern| meant.include(pattern))?;
        exclude.iter().try_for_each(|pattern| meant.exclude(pattern))?;
        let renames = renames.iter().map(|(old, new)| Rename::new(old, new)).collect();
        let selection = Selection { meant, renames };
        let chosen = selection.choose(&metadata(&["model.a.w", "model.b.w", "optim.a.w", "step"]), "here")?;
        Ok(chosen.into_iter().map(|chosen| chosen.path.fqn().to_string()).collect())
    }

    #[test]
    fn names_are_matched_whole() {
        assert_eq!(choose(&[], &[], &[]).expect("all").len(), 4);
        assert_eq!(choose(&["model.*"], &[], &[]).expect("some"), ["model.a.w", "model.b.w"]);
        assert_eq!(choose(&["*.w", "step"], &["*.a.*"], &[]).expect("some"), ["model.b.w", "step"]);
        assert_eq!(choose(&["{model,optim}.a.w"], &[], &[]).expect("some"), ["model.a.w", "optim.a.w"]);
        for nothing in ["model", "mode", "tep", "Model.*"] {
            assert!(matches!(choose(&[nothing], &[], &[]), Err(Error::NothingChosen { .. })), "{nothing}");
        }
        assert!(matches!(choose(&["step"], &["*"], &[]), Err(Error::NothingChosen { .. })));
        assert!(matches!(choose(&["[a"], &[], &[]), Err(Error::Pattern { .. })));
    }

    #[test]
    fn the_first_new_name_counts_and_none_is_given_twice() {
        let renames = [("model.a", "x"), ("model", "y"), ("x", "z")];
        assert!(
            matches!(choose(&[], &[], &renames), Err(Error::NothingChosen { choice, .. }) if choice.contains("\"x\""))
        );
        assert_eq!(choose(&["model.*"], &[], &renames[..2]).expect("renamed"), ["x.w", "y.b.w"]);
        match choose(&[], &[], &[("optim", "model")]) {
            Err(Error::SameName { name, first, second }) => {
                assert_eq!([name, first, second], ["model.a.w", "model.a.w", "optim.a.w"]);
            }
            other => panic!("{other:?}"),
        }
    }
}
