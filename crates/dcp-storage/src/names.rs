//! How data files and claims are named.

use std::fmt;

use dcp_types::Rank;

use crate::{StorageError, StorePath};

/// The number of a save into one directory; each save has its own, so that no two ever write one file.
pub type Generation = u64;

/// The name of a data file: `__{rank}_{number}.distcp` as in PyTorch, with the generation in between after the first
/// (`__{rank}_{number}.g{generation}.distcp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataName {
    /// Who wrote it.
    pub rank: Rank,
    /// Which of the rank's files it is.
    pub number: u32,
    /// Which save it belongs to.
    pub generation: Generation,
}

impl DataName {
    /// The name that a path is, if it is one.
    #[must_use]
    pub fn parse(path: &StorePath) -> Option<Self> {
        let stem = path.as_str().strip_prefix("__")?.strip_suffix(".distcp")?;
        let (stem, generation) = match stem.split_once(".g") {
            Some((stem, generation)) => (stem, generation.parse().ok()?),
            None => (stem, 0),
        };
        let (rank, number) = stem.split_once('_')?;
        let name = Self { rank: rank.parse().ok()?, number: number.parse().ok()?, generation };
        // Just one spelling of each name: no signs, no leading zeros.
        (name.to_string() == path.as_str()).then_some(name)
    }

    /// The name as a path.
    ///
    /// # Errors
    /// Never: the name is a valid path.
    pub fn path(&self) -> Result<StorePath, StorageError> {
        StorePath::parse(&self.to_string())
    }
}

impl fmt::Display for DataName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rank, number, generation } = self;
        match generation {
            0 => write!(f, "__{rank}_{number}.distcp"),
            _ => write!(f, "__{rank}_{number}.g{generation}.distcp"),
        }
    }
}

/// What an object is for in the directory of a checkpoint of several files, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// An index, or a part of one, of a format that is in use, whether or not this build knows the format.
    Index,
    /// Tensors and values.
    Data(DataName),
    /// A save's claim on its generation.
    Claim(Generation),
}

impl Role {
    /// The role of the object with this name in its directory, if it has one.
    #[must_use]
    pub fn of(name: &StorePath) -> Option<Self> {
        let data = || DataName::parse(name).map(Self::Data);
        let claim = || claimed_generation(name).map(Self::Claim);
        if is_index(name) { Some(Self::Index) } else { data().or_else(claim) }
    }
}

/// Whether a name is that of an index, or of a part of one, of a format that is in use, whether or not this build knows the format: a
/// directory holds one checkpoint of one format. Lightning's `meta.pt` is a part of the checkpoint that it lies beside.
pub(crate) fn is_index(path: &StorePath) -> bool {
    let name = path.as_str();
    let of_a_rank = |rest: &str| rest.strip_suffix(".metadata").is_some_and(|rank| rank.parse::<Rank>().is_ok());
    ["index.dcp", ".metadata", "meta.pt", "model.safetensors.index.json"].contains(&name)
        || name.strip_prefix("__").is_some_and(of_a_rank)
}

/// Whether a name is that of an index whose being there makes a checkpoint; of indexes of ranks that is the first one's.
pub(crate) fn is_commit(path: &StorePath) -> bool {
    ["index.dcp", ".metadata", "__0.metadata", "model.safetensors.index.json"].contains(&path.as_str())
}

/// The name of the object by which a save claims its generation.
pub(crate) fn claim_path(generation: Generation) -> Result<StorePath, StorageError> {
    StorePath::parse(&format!("{CLAIM}{generation}"))
}

/// The generation that a claim's name says.
pub(crate) fn claimed_generation(path: &StorePath) -> Option<Generation> {
    let generation = path.as_str().strip_prefix(CLAIM)?.parse().ok()?;
    // As with data files, one spelling each.
    (format!("{CLAIM}{generation}") == path.as_str()).then_some(generation)
}

const CLAIM: &str = ".dcp-claim-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_known_by_their_names() {
        let is_one = |name: &str| is_index(&StorePath::parse(name).expect("path"));
        assert!(["index.dcp", ".metadata", "__12.metadata"].into_iter().all(is_one));
        assert!(
            ["index.dcp", "meta.pt"]
                .into_iter()
                .all(|name| { Role::of(&StorePath::parse(name).expect("path")) == Some(Role::Index) })
        );
        assert!(!["__0_0.distcp", ".metadata.tmp", "x/.metadata", "__x.metadata"].into_iter().any(is_one));
    }

    #[test]
    fn names_have_one_spelling() {
        for name in ["__0_0.distcp", "__16383_7.distcp", "__1_2.g3.distcp"] {
            let parsed = DataName::parse(&StorePath::parse(name).expect("path")).expect(name);
            assert_eq!(parsed.to_string(), name);
        }
        for other in ["__0_0.g0.distcp", "__+0_0.distcp", "__00_0.distcp", "__0_0", "x/__0_0.distcp", "__0.distcp"] {
            assert_eq!(DataName::parse(&StorePath::parse(other).expect("path")), None, "{other}");
        }
        let role = |name: &str| Role::of(&StorePath::parse(name).expect("path"));
        assert_eq!(role("__1_2.g3.distcp"), Some(Role::Data(DataName { rank: 1, number: 2, generation: 3 })));
        assert_eq!((role(".dcp-claim-4"), role("notes.txt")), (Some(Role::Claim(4)), None));
        assert_eq!(claimed_generation(&claim_path(12).expect("path")), Some(12));
        for other in [".dcp-claim-", ".dcp-claim-+1", ".dcp-claim-01", ".dcp-claim-18446744073709551616"] {
            assert_eq!(claimed_generation(&StorePath::parse(other).expect("path")), None, "{other}");
        }
    }
}
