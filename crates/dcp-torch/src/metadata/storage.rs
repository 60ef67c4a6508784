//! Which chunk lies where.

use std::collections::HashMap;

use dcp_storage::{StorageError, StorePath};
use dcp_types::Region;

use super::draft::{Entries, FileNumber, Files, Rough, RoughKind, Slot};
use super::flaw::{Findings, Flaw, corrupt};
use super::states::{Key, Storage, Top, leaf};
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
    let mut next = 0;
    let mut last: Option<(&str, FileNumber)> = None;
    for (key, value) in listed.borrow().iter() {
        let key = match leaf(key) {
            Some(Atom::Key(number)) => words.key(number),
            Some(Atom::Flawed(flaw)) => {
                findings.add(None, words.flaw(flaw).of(path, "storage_data"))?;
                continue;
            }
            _ => None,
        };
        let Some(Key { fqn, offset, hint }) = key.copied() else {
            findings.add(None, corrupt(path, "a key of storage_data is none".into()))?;
            continue;
        };
        let offset = offset.map(|offset| words.extents(offset));
        // Every rank lists the entries in their order.
        let is_it = |number: &usize| entries.get_index(*number).is_some_and(|(name, _)| *name == fqn);
        let Some(number) = Some(next).filter(is_it).or_else(|| entries.get_index_of(fqn)) else { continue };
        next = number + 1;
        let Some((_, entry)) = entries.get_index_mut(number) else { continue };
        let Some(slot) = slot_of(entry, number, offset, hint, &mut by_offset) else { continue };
        let place = match leaf(value) {
            Some(Atom::Place(number)) => words.place(number).ok_or_else(|| Flaw::corrupt("its place is none")),
            Some(Atom::Flawed(flaw)) => Err(words.flaw(flaw)),
            _ => Err(Flaw::corrupt("its place is none")),
        };
        let found = place.and_then(|place| place.check().map(|()| *place)).map_err(|flaw| flaw.of(path, fqn));
        let found = found.and_then(|Storage { path: name, offset, length, transforms }| {
            let file = match last {
                Some((known, file)) if std::ptr::eq(known, name) => file,
                _ => files.number(name).inspect(|file| last = Some((name, *file)))?,
            };
            let transforms = files.transforms.number(words.transforms.get(transforms));
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
fn slot_of<'e>(
    entry: &'e mut Rough,
    number: usize,
    offset: Option<&[u64]>,
    hint: u32,
    by_offset: &mut ByOffset,
) -> Option<&'e mut Option<Slot>> {
    match (&mut entry.kind, offset) {
        (RoughKind::Value(slot), None) => Some(slot),
        (RoughKind::Tensor { regions, slots, .. }, Some(offset)) => {
            let is_it = |region: &Region| region.offsets() == offset && !region.is_empty();
            if regions.get(hint as usize).is_some_and(is_it) {
                return slots.get_mut(hint as usize);
            }
            let sorted = by_offset.entry(number).or_insert_with(|| {
                let holds = |number: &u32| regions.get(*number as usize).is_some_and(|region| !region.is_empty());
                let mut numbers: Vec<u32> = (0..).take(regions.len()).filter(holds).collect();
                numbers.sort_by_key(|number| regions[*number as usize].offsets());
                numbers
            });
            let at = sorted.binary_search_by_key(&offset, |number| regions[*number as usize].offsets()).ok()?;
            slots.get_mut(sorted[at] as usize)
        }
        _ => None,
    }
}

impl Storage<'_> {
    /// Files end before 2^63: what does not is a lie.
    fn check(&self) -> Result<(), Flaw> {
        match self.offset.checked_add(self.length) {
            Some(end) if i64::try_from(end).is_ok() => Ok(()),
            _ => Err(Flaw::corrupt(format_args!("offset {} and length {} overflow", self.offset, self.length))),
        }
    }
}
