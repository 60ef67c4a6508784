//! Which chunk lies where.

use std::collections::HashMap;

use dcp_storage::{StorageError, StorePath};

use super::draft::{Entries, FileNumber, Files, Rough, RoughKind, Slot};
use super::extents::Extents;
use super::flaw::{Findings, Flaw, corrupt};
use super::lists::NO_TRANSFORMS;
use super::states::{Top, leaf};
use super::words::{Atom, Words};
use crate::pickle::Node;

/// Gives the chunks and objects of a file the places that its `storage_data` lists. What it lists beyond is ignored, as PyTorch does.
pub(super) fn place<'a>(
    top: &Top<'a>,
    words: &Words<'a>,
    path: &StorePath,
    entries: &mut Entries<'a>,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<(), StorageError> {
    let Node::Dict(listed) = &top.storage else {
        return Err(corrupt(path, format!("its storage_data is {}", top.storage.kind())));
    };
    let mut by_offset = ByOffset::default();
    let entry_of: Vec<Option<usize>> = words.names.listed().iter().map(|name| entries.get_index_of(name)).collect();
    let mut file_of: Vec<Option<FileNumber>> = vec![None; words.paths.listed().len()];
    for (key, value) in listed.borrow().iter() {
        let (name, offset, hint) = match leaf(key) {
            Some(Atom::Key { name, offset, hint }) => (name, offset, hint),
            Some(Atom::Flawed(flaw)) => {
                findings.add(None, words.flaw(flaw).of(path, "storage_data"))?;
                continue;
            }
            _ => {
                findings.add(None, corrupt(path, "a key of storage_data is none".into()))?;
                continue;
            }
        };
        let Some(number) = entry_of.get(name as usize).copied().flatten() else { continue };
        let Some((fqn, entry)) = entries.get_index_mut(number) else { continue };
        let Some(slot) = slot_of(entry, number, offset, hint, words, &mut by_offset) else { continue };
        let place = match leaf(value) {
            Some(Atom::Place { path, offset, length, transforms }) => {
                check(offset, length).map(|()| (path, offset, length, transforms))
            }
            Some(Atom::Flawed(flaw)) => Err(words.flaw(flaw)),
            _ => Err(Flaw::corrupt("its place is none")),
        };
        let found = place.map_err(|flaw| flaw.of(path, fqn)).and_then(|(file, offset, length, transforms)| {
            let listed = words.paths.listed()[file as usize];
            let known = &mut file_of[file as usize];
            let file = match known {
                Some(file) => *file,
                None => *known.insert(files.number(listed)?),
            };
            let transforms = match transforms {
                NO_TRANSFORMS => Ok(NO_TRANSFORMS),
                some => files.transforms.number(words.transforms.get(some)),
            };
            Ok(Slot { file, transforms: transforms.map_err(|flaw| flaw.of(path, fqn))?, offset, length })
        });
        let twice = slot.is_some();
        match found {
            Ok(_) if twice => entry.fault = Some(Flaw::corrupt("a part of it lies in two places").of(path, fqn)),
            Ok(found) => *slot = Some(found),
            Err(fault) => entry.fault = Some(fault),
        }
    }
    Ok(())
}

/// The numbers of a tensor's chunks, sorted by offset; only for tensors whose keys do not tell the number.
type ByOffset = HashMap<usize, Vec<u32>>;

/// What a key means: `None` if there is no such chunk, or nothing in it.
#[inline]
fn slot_of<'e>(
    entry: &'e mut Rough,
    number: usize,
    offset: Option<Extents>,
    hint: u32,
    words: &Words<'_>,
    by_offset: &mut ByOffset,
) -> Option<&'e mut Option<Slot>> {
    match (&mut entry.kind, offset) {
        (RoughKind::Value(slot), None) => Some(slot),
        (RoughKind::Tensor { regions, starts, slots, .. }, Some(offset)) => {
            let is_it = |start: Extents| start == offset || words.extents(start) == words.extents(offset);
            if starts.get(hint as usize).copied().flatten().is_some_and(is_it) {
                return slots.get_mut(hint as usize);
            }
            let sorted = by_offset.entry(number).or_insert_with(|| {
                let holds = |number: &u32| regions.get(*number as usize).is_some_and(|region| !region.is_empty());
                let mut numbers: Vec<u32> = (0..).take(regions.len()).filter(holds).collect();
                numbers.sort_by_key(|number| regions[*number as usize].offsets());
                numbers
            });
            let offset = words.extents(offset);
            let at = sorted.binary_search_by_key(&offset, |number| regions[*number as usize].offsets()).ok()?;
            slots.get_mut(sorted[at] as usize)
        }
        _ => None,
    }
}

/// Files end before 2^63: what does not is a lie.
fn check(offset: u64, length: u64) -> Result<(), Flaw> {
    match offset.checked_add(length) {
        Some(end) if i64::try_from(end).is_ok() => Ok(()),
        _ => Err(Flaw::corrupt(format_args!("offset {offset} and length {length} overflow"))),
    }
}
