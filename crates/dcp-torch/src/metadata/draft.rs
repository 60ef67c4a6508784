//! The entries that one index file lists.

use std::collections::HashMap;
use std::num::NonZeroU32;

use dcp_storage::{StorageError, StorePath};
use dcp_types::{DType, Fqn, Region, Shape, StatePath};

use super::extents::Extents;
use super::flaw::{Findings, corrupt, short, unreadable};
use super::lists::{ListNumber, Lists};
use super::names;
use super::outline::{outline, rough_kinds};
use super::states::{Object, Top, leaf};
use super::storage;
use super::words::{Atom, Words};
use crate::pickle::{Node, unpickle};

/// An entry as a file lists it.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) fqn: Fqn,
    pub(super) path: StatePath,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Value(Slot),
    Tensor(TensorDraft),
}

/// A tensor, perhaps with holes that other files fill. Only chunks that hold something are listed.
#[derive(Debug)]
pub(super) struct TensorDraft {
    pub(super) dtype: DType,
    pub(super) shape: Shape,
    pub(super) regions: Vec<Region>,
    /// Where each region lies.
    pub(super) slots: Vec<Slot>,
}

/// Where an item lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) file: FileNumber,
    pub(super) transforms: ListNumber,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// One more than the number of a file, so that a slot that is not known yet takes no more room.
pub(super) type FileNumber = NonZeroU32;

/// The files that items lie in.
#[derive(Debug, Default)]
pub(super) struct Files {
    paths: Vec<StorePath>,
    numbers: HashMap<String, FileNumber>,
    /// What was done to what lies in them.
    pub(super) transforms: Lists<Box<str>>,
}

impl Files {
    /// The number of a file.
    ///
    /// # Errors
    /// [`StorageError::InvalidPath`] for a name that is none.
    pub(super) fn number(&mut self, name: &str) -> Result<FileNumber, StorageError> {
        if let Some(known) = self.numbers.get(name) {
            return Ok(*known);
        }
        let path = StorePath::parse(name).map_err(|error| match error {
            StorageError::InvalidPath { path, reason } => {
                StorageError::InvalidPath { path: short(&path).to_owned(), reason }
            }
            other => other,
        })?;
        self.paths.push(path);
        let number = u32::try_from(self.paths.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        self.numbers.insert(name.to_owned(), number);
        Ok(number)
    }

    pub(super) fn into_parts(self) -> (Vec<StorePath>, Lists<Box<str>>) {
        (self.paths, self.transforms)
    }
}

/// An entry while its places are being found.
#[derive(Debug)]
pub(super) struct Rough {
    pub(super) fqn: Fqn,
    pub(super) path: StatePath,
    pub(super) kind: RoughKind,
    pub(super) fault: Option<StorageError>,
}

#[derive(Debug)]
pub(super) enum RoughKind {
    Value(Option<Slot>),
    /// All chunks, the empty ones too: they are numbered.
    Tensor {
        dtype: DType,
        shape: Shape,
        regions: Vec<Region>,
        /// Where each begins; nowhere if there is nothing in it. Beside the regions, as all of it is searched for every rank.
        starts: Vec<Option<Extents>>,
        slots: Vec<Option<Slot>>,
    },
}

/// Reads one index file.
pub(super) fn read(
    path: &StorePath,
    bytes: &[u8],
    files: &mut Files,
    findings: &mut Findings,
) -> Result<Vec<Draft>, StorageError> {
    let mut words = Words::default();
    let (root, _) = unpickle(bytes, &mut words).map_err(|error| unreadable(path, error))?;
    if let Some(Atom::Flawed(flaw)) = leaf(&root) {
        return Err(words.flaw(flaw).of(path, "the whole"));
    }
    let Node::Object(root) = &root else { return Err(not_metadata(path, root.kind())) };
    let root = root.borrow();
    let top = match &*root {
        Object::Metadata(top) => top,
        _ => return Err(not_metadata(path, "another object")),
    };
    let mut entries = entries(top, &words, path, findings)?;
    storage::place(top, &words, path, &mut entries, files, findings)?;
    let mut drafts = Vec::with_capacity(entries.len());
    for entry in entries.into_values() {
        let fqn = entry.fqn.clone();
        match entry.finished(path) {
            Ok(draft) => drafts.push(draft),
            Err(error) => findings.add(Some(fqn), error)?,
        }
    }
    Ok(drafts)
}

/// The entries of a file by name, in its order.
pub(super) type Entries<'a> = indexmap::IndexMap<&'a str, Rough>;

fn entries<'a>(
    top: &Top<'a>,
    words: &Words<'a>,
    path: &StorePath,
    findings: &mut Findings,
) -> Result<Entries<'a>, StorageError> {
    let Node::Dict(listed) = &top.state_dict else { return Err(not_metadata(path, "something without a state dict")) };
    let planner = names::planner(&top.planner).map_err(|flaw| flaw.of(path, "planner_data"))?;
    let listed = listed.borrow();
    let outlines: Vec<_> = listed.iter().map(|(_, what)| outline(what, words)).collect();
    let kinds = rough_kinds(&outlines, words.extent_list());
    let mut entries = Entries::new();
    for ((name, _), kind) in listed.iter().zip(kinds) {
        let Node::Str(name) = name else {
            findings.add(None, corrupt(path, format!("{} is the name of an entry", name.kind())))?;
            continue;
        };
        if let Some(first) = entries.get(name) {
            findings.add(Some(first.fqn.clone()), corrupt(path, format!("{} is listed twice", short(name))))?;
            continue;
        }
        let fqn = Fqn::from(*name);
        let rough = names::path_of(name, planner.as_ref())
            .and_then(|path| Ok(Rough { fqn: fqn.clone(), path, kind: kind?, fault: None }));
        match rough {
            Ok(rough) => drop(entries.insert(name, rough)),
            Err(flaw) => findings.add(Some(fqn), flaw.of(path, name))?,
        }
    }
    Ok(entries)
}

impl Rough {
    /// The entry, if it is sound and everything in it has a place.
    fn finished(self, path: &StorePath) -> Result<Draft, StorageError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let missing = |what: &dyn std::fmt::Display| {
            let name = short(self.fqn.as_str());
            corrupt(path, format!("{name}: {what} has no place in storage_data"))
        };
        let kind = match self.kind {
            RoughKind::Value(slot) => Kind::Value(slot.ok_or_else(|| missing(&"the object"))?),
            RoughKind::Tensor { dtype, shape, mut regions, slots, .. } => {
                let mut places = Vec::with_capacity(slots.len());
                for (region, slot) in regions.iter().zip(slots).filter(|(region, _)| !region.is_empty()) {
                    places.push(slot.ok_or_else(|| missing(&format_args!("the chunk {region}")))?);
                }
                regions.retain(|region| !region.is_empty());
                Kind::Tensor(TensorDraft { dtype, shape, regions, slots: places })
            }
        };
        Ok(Draft { fqn: self.fqn, path: self.path, kind })
    }
}

fn not_metadata(path: &StorePath, found: &str) -> StorageError {
    corrupt(path, format!("it holds {found}, not the metadata of a checkpoint"))
}
