//! A checkpoint whose index has been read, and where its items lie.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use dcp_storage::{
    Ask, BlockChecks, DataName, Extent, Layout, Locator, Need, OpenedCheckpoint, Reply, Step, StorageError, StorePath,
};
use dcp_types::{Digest, Metadata, Rank, ReadItem, ReadWhat, Region, WriteWhat};

use crate::footer;
use crate::index::{FileFacts, Index};

/// A native checkpoint.
pub(crate) struct OpenedNative {
    index: Index,
    fingerprint: Digest,
    /// The checksum tables of the files that were looked into so far.
    tables: Mutex<HashMap<StorePath, Arc<[u32]>>>,
    /// What was computed of ranks so far.
    places: Mutex<HashMap<Rank, Arc<Places>>>,
}

/// Where everything lies that a rank has written, by entry and chunk.
type Places = HashMap<(usize, Option<Region>), Place>;

/// So many places are remembered at the most.
const REMEMBERED: usize = 1 << 16;

impl OpenedNative {
    pub(crate) fn decode(index: &[u8]) -> Result<Self, StorageError> {
        let fingerprint = Digest::of(index);
        let (tables, places) = Default::default();
        Ok(Self { index: Index::decode(index)?, fingerprint, tables, places })
    }

    fn path(&self, rank: Rank, number: u32) -> Result<StorePath, StorageError> {
        DataName { rank, number, generation: self.index.generation }.path()
    }

    fn table(&self, path: &StorePath) -> Option<Arc<[u32]>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// The rank that an item was written by.
    fn owner(&self, item: &ReadItem) -> Option<Rank> {
        let nothing = || Region::new([], []).ok().map(|region| dcp_types::Chunk { region, number: 0 });
        match &item.what {
            ReadWhat::Region { chunk, .. } => self.index.plan.owner(item.entry, chunk),
            ReadWhat::Value => self.index.plan.owner(item.entry, &nothing()?),
        }
    }

    /// Where everything lies that a rank has written; computed anew only if it is not remembered.
    fn places(&self, rank: Rank) -> Result<Arc<Places>, StorageError> {
        let remembered = || self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = remembered().get(&rank) {
            return Ok(Arc::clone(places));
        }
        let places = Arc::new(self.compute_places(rank)?);
        let mut remembered = remembered();
        if remembered.values().map(|places| places.len()).sum::<usize>() + places.len() > REMEMBERED {
            remembered.clear();
        }
        remembered.insert(rank, Arc::clone(&places));
        Ok(places)
    }

    fn compute_places(&self, rank: Rank) -> Result<Places, StorageError> {
        let facts = self.index.files_of(rank);
        let lies = |reason: String| match self.path(rank, 0) {
            Ok(path) => StorageError::Corrupt { path, offset: 0, reason },
            Err(error) => error,
        };
        let too_large = || lies("its items are larger than can be counted".into());
        let files = self.index.rule.files_of(&self.index.plan, rank).ok_or_else(too_large)?;
        if files.len() != facts.len() {
            let (planned, found) = (files.len(), facts.len());
            return Err(lies(format!("rank {rank} should have {planned} files, but the index lists {found}")));
        }
        let mut places = HashMap::new();
        for (file, facts) in files.iter().zip(facts) {
            let block = self.index.rule.block;
            let footer = file.footer_offset(&facts.values).ok_or_else(too_large)?;
            let entries = footer::entries(file.lengths(&facts.values), block).ok_or_else(too_large)?;
            let size = entries.checked_mul(4).and_then(|length| footer.checked_add(length));
            if file.number != facts.number || file.values.len() != facts.values.len() || size != Some(facts.size) {
                return Err(lies(format!("the index lists {facts:?}, which its own plan contradicts")));
            }
            let path = self.path(rank, file.number)?;
            let shared = Arc::new(facts.clone());
            let mut check = 0;
            let mut place = |offset: u64, length: u64| {
                let checks = check..check + length.div_ceil(block);
                check = checks.end;
                Place { path: path.clone(), offset, length, checks, footer, facts: Arc::clone(&shared) }
            };
            for chunk in &file.chunks {
                let WriteWhat::Chunk(stored, _) = &chunk.item.what else { continue };
                let key = (chunk.item.entry, Some(stored.region.clone()));
                places.insert(key, place(chunk.offset, chunk.length));
            }
            let mut offset = file.chunks_end;
            for (value, &length) in file.values.iter().zip(&facts.values) {
                places.insert((value.entry, None), place(offset, length));
                offset += length;
            }
        }
        Ok(places)
    }
}

/// Where an item lies.
#[derive(Clone, Debug)]
struct Place {
    path: StorePath,
    offset: u64,
    length: u64,
    /// Its checksums in the footer.
    checks: std::ops::Range<u64>,
    /// Where the footer of its file starts.
    footer: u64,
    facts: Arc<FileFacts>,
}

impl OpenedCheckpoint for OpenedNative {
    fn metadata(&self) -> &Arc<Metadata> {
        self.index.plan.metadata()
    }

    fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    fn locate(self: Arc<Self>, items: Vec<ReadItem>) -> Box<dyn Ask<Output = Vec<Locator>>> {
        Box::new(Locate { opened: self, items, places: Vec::new(), asked: Vec::new(), stage: Stage::Sizes })
    }
}

/// Finds items: needs the sizes of the files that hold them, then their footers.
struct Locate {
    opened: Arc<OpenedNative>,
    items: Vec<ReadItem>,
    places: Vec<Place>,
    asked: Vec<Place>,
    stage: Stage,
}

enum Stage {
    Sizes,
    Footers,
    Done,
}

impl Ask for Locate {
    type Output = Vec<Locator>;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Vec<Locator>>, StorageError> {
        match self.stage {
            Stage::Sizes => {
                self.find()?;
                self.stage = Stage::Footers;
                Ok(Step::Needs(self.asked.iter().map(|place| Need::Size(place.path.clone())).collect()))
            }
            Stage::Footers => {
                for (place, reply) in self.asked.iter().zip(&replies) {
                    check_size(place, reply)?;
                }
                self.stage = Stage::Done;
                let footer = |place: &Place| Need::Range {
                    path: place.path.clone(),
                    offset: place.footer,
                    length: place.facts.size - place.footer,
                };
                Ok(Step::Needs(self.asked.iter().map(footer).collect()))
            }
            Stage::Done => {
                for (place, reply) in self.asked.iter().zip(&replies) {
                    let table = checked_table(place, reply)?;
                    let mut tables = self.opened.tables.lock().unwrap_or_else(PoisonError::into_inner);
                    tables.insert(place.path.clone(), table);
                }
                Ok(Step::Done(self.places.iter().map(|place| self.locator(place)).collect::<Result<_, _>>()?))
            }
        }
    }
}

impl Locate {
    /// Computes where the items lie, one writer after the other.
    fn find(&mut self) -> Result<(), StorageError> {
        let mut by_owner: BTreeMap<Rank, Vec<usize>> = BTreeMap::new();
        for (number, item) in self.items.iter().enumerate() {
            let owner = self.opened.owner(item).ok_or_else(|| missing(&self.opened, item))?;
            by_owner.entry(owner).or_default().push(number);
        }
        let mut found: Vec<Option<Place>> = vec![None; self.items.len()];
        let mut files: BTreeMap<StorePath, Place> = BTreeMap::new();
        for (owner, numbers) in by_owner {
            let places = self.opened.places(owner)?;
            for number in numbers {
                let item = &self.items[number];
                let region = match &item.what {
                    ReadWhat::Region { chunk, .. } => Some(chunk.region.clone()),
                    ReadWhat::Value => None,
                };
                let place = places.get(&(item.entry, region)).ok_or_else(|| missing(&self.opened, item))?;
                if self.opened.table(&place.path).is_none() && !files.contains_key(&place.path) {
                    files.insert(place.path.clone(), place.clone());
                }
                found[number] = Some(place.clone());
            }
        }
        self.places = found.into_iter().flatten().collect();
        self.asked = files.into_values().collect();
        Ok(())
    }

    fn locator(&self, place: &Place) -> Result<Locator, StorageError> {
        let table = self.opened.table(&place.path).ok_or_else(|| corrupt(place, "it has no checksums".into()))?;
        let entries = place.checks.start as usize..place.checks.end as usize;
        let checks = Some(BlockChecks { block: self.opened.index.rule.block, table, entries });
        let (file, layout) = (place.path.clone(), Layout::default());
        Ok(Locator::Extent(Extent { file, offset: place.offset, length: place.length, layout, checks }))
    }
}

fn check_size(place: &Place, reply: &Reply) -> Result<(), StorageError> {
    match reply {
        Reply::Size(found) if *found == place.facts.size => Ok(()),
        other => Err(corrupt(place, format!("it should have {} bytes, but has {}", place.facts.size, show(other)))),
    }
}

fn checked_table(place: &Place, reply: &Reply) -> Result<Arc<[u32]>, StorageError> {
    match reply {
        Reply::Bytes(bytes) if crc32fast::hash(bytes) == place.facts.footer_crc => Ok(footer::decode(bytes).into()),
        _ => Err(corrupt(place, "its table of checksums is damaged".into())),
    }
}

fn corrupt(place: &Place, reason: String) -> StorageError {
    StorageError::Corrupt { path: place.path.clone(), offset: place.footer, reason }
}

fn missing(opened: &OpenedNative, item: &ReadItem) -> StorageError {
    let fqn = opened.metadata().entry(item.entry).map_or("?".into(), |(fqn, _)| fqn.clone());
    match crate::index::path() {
        Ok(path) => StorageError::Corrupt { path, offset: 0, reason: format!("nobody has written a part of {fqn}") },
        Err(error) => error,
    }
}

fn show(reply: &Reply) -> u64 {
    match reply {
        Reply::Size(size) => *size,
        Reply::Bytes(bytes) => bytes.len() as u64,
        _ => 0,
    }
}

impl fmt::Debug for OpenedNative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedNative").field("generation", &self.index.generation).finish_non_exhaustive()
    }
}
