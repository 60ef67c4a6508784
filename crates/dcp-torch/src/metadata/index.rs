//! What a checkpoint holds, and where each part lies.

use std::sync::Arc;

use dcp_storage::{StorageError, StorePath};
use dcp_types::{Chunk, ChunkList, Chunks, Entry, EntryKind, Metadata, Region, TensorEntry, TypesError, unflatten};

use super::draft::{Draft, Files, Kind, Slot, TensorDraft};
use super::flaw::{Findings, corrupt, short};
use super::lists::Lists;
use super::merge;

/// An index of a checkpoint of PyTorch.
#[derive(Debug)]
pub(crate) struct Index {
    metadata: Arc<Metadata>,
    files: Vec<StorePath>,
    transforms: Lists<Box<str>>,
    /// By entry and chunk.
    slots: Vec<Box<[Slot]>>,
}

/// Where an item lies: one `torch.save` archive, or a part of a shared one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'i> {
    /// The file.
    pub(crate) file: &'i StorePath,
    /// Its first byte.
    pub(crate) offset: u64,
    /// Its length in bytes. `offset + length` does not overflow an `i64`.
    pub(crate) length: u64,
    /// The descriptors of what was done to the bytes, in the order in which it is undone.
    pub(crate) transforms: &'i [Box<str>],
}

impl Index {
    /// What the checkpoint holds.
    pub(crate) fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    /// Every file that something lies in.
    #[cfg(test)]
    pub(super) fn files(&self) -> &[StorePath] {
        &self.files
    }

    /// Where a chunk of a tensor lies. `None` if the entry has no such chunk.
    pub(crate) fn chunk(&self, entry: usize, chunk: &Chunk) -> Option<Place<'_>> {
        let (_, what) = self.metadata.entry(entry)?;
        let TensorEntry { shape, chunks, .. } = what.as_tensor()?;
        let number = match chunks {
            Chunks::List(list) => number_of(list, chunk)?,
            _ if chunk.region == Region::full(shape) => 0,
            _ => return None,
        };
        self.place(self.slots.get(entry)?.get(number)?)
    }

    /// Where an object lies. `None` if the entry is a tensor.
    pub(crate) fn value(&self, entry: usize) -> Option<Place<'_>> {
        let (_, what) = self.metadata.entry(entry)?;
        let slot = self.slots.get(entry)?.first()?;
        if what.as_tensor().is_some() { None } else { self.place(slot) }
    }

    fn place(&self, slot: &Slot) -> Option<Place<'_>> {
        let file = self.files.get(slot.file.get() as usize - 1)?;
        let transforms = self.transforms.get(slot.transforms);
        Some(Place { file, offset: slot.offset, length: slot.length, transforms })
    }
}

fn number_of(list: &ChunkList, chunk: &Chunk) -> Option<usize> {
    let is_it = |number: u32| list.regions().get(number as usize) == Some(&chunk.region);
    if is_it(chunk.number) {
        return Some(chunk.number as usize);
    }
    list.meeting(&chunk.region).into_iter().find(|number| is_it(*number)).map(|number| number as usize)
}

/// Checks that entries are sound, each by itself and together, and makes the index.
pub(super) fn build(
    entries: Vec<merge::Entry<'_>>,
    files: Files,
    findings: &mut Findings,
) -> Result<Index, StorageError> {
    let mut sound = Vec::with_capacity(entries.len());
    for (path, Draft { fqn, path: place, kind }) in entries {
        let (kind, slots) = match kind {
            Kind::Value(slot) => (EntryKind::Value, Box::from([slot])),
            Kind::Tensor(tensor) => match covered(tensor) {
                Ok((tensor, slots)) => (EntryKind::Tensor(tensor), slots),
                Err(fault) => {
                    let error = corrupt(path, format!("{}: {fault}", short(fqn.as_str())));
                    findings.add(Some(fqn), error)?;
                    continue;
                }
            },
        };
        sound.push((path, Entry { path: place, kind }, slots));
    }
    prune(&mut sound, findings)?;
    let (mut entries, mut slots) = (Vec::with_capacity(sound.len()), Vec::with_capacity(sound.len()));
    let named = sound.first().map(|(path, ..)| (*path).clone());
    for (_, entry, places) in sound {
        entries.push(entry);
        slots.push(places);
    }
    let metadata = match (Metadata::new(entries), named) {
        (Ok(metadata), _) => metadata,
        (Err(fault), Some(path)) => return Err(corrupt(&path, fault.to_string())),
        (Err(_), None) => Metadata::default(),
    };
    let (files, transforms) = files.into_parts();
    Ok(Index { metadata: Arc::new(metadata), files, transforms, slots })
}

/// A tensor whose chunks cover it, each element once.
fn covered(tensor: TensorDraft) -> Result<(TensorEntry, Box<[Slot]>), TypesError> {
    let TensorDraft { dtype, shape, regions, slots } = tensor;
    let whole = regions.is_empty() && shape.numel() == 0 || regions == [Region::full(&shape)];
    let chunks = if whole { Chunks::Whole } else { Chunks::List(ChunkList::new(&shape, regions)?) };
    Ok((TensorEntry { dtype, shape, chunks }, slots.into()))
}

type Sound<'p> = (&'p StorePath, Entry, Box<[Slot]>);

/// So many entries that do not fit into the tree are left out, one by one; with more of them there is no tree.
const MOST_MISFITS: usize = 100;

/// Leaves out what does not fit into one tree with the rest.
fn prune(sound: &mut Vec<Sound<'_>>, findings: &mut Findings) -> Result<(), StorageError> {
    for misfits in 0.. {
        let leaves = sound.iter().map(|(_, entry, _)| (entry.path.clone(), ()));
        let Err(fault) = unflatten(leaves) else { break };
        let at = match &fault {
            TypesError::Tree { path, .. } if misfits < MOST_MISFITS => {
                // Of two entries with one place, the later one is in the way.
                sound.iter().rposition(|(_, entry, _)| entry.path == *path)
            }
            _ => None,
        };
        let Some((path, ..)) = sound.get(at.unwrap_or(0)) else { break };
        let error = corrupt(path, fault.to_string());
        let Some(at) = at else { return Err(error) };
        findings.add(Some(sound.remove(at).1.path.fqn()), error)?;
    }
    Ok(())
}
