//! A checkpoint whose index has been read, and where its items lie.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use dcp_storage::{
    Ask, BlockChecks, DataName, Extent, Layers, Layout, Locator, Need, OpenedCheckpoint, Reply, Step, StorageError,
    StorePath, Stream, Transforms,
};
use dcp_types::{Digest, Metadata, Rank, ReadItem, ReadWhat, Region, WriteWhat};

use crate::footer::{self, Stored, Table};
use crate::index::{FileFacts, Index};
use crate::lately::Lately;
use crate::layout::PlannedFile;

/// A native checkpoint.
pub(crate) struct OpenedNative {
    index: Index,
    fingerprint: Digest,
    /// What undoes the transforms of everything.
    layers: Layers,
    /// The footers of the files that were looked into lately.
    tables: Lately<StorePath, Table>,
    /// What was computed of ranks so far.
    places: Lately<Rank, Places>,
}

/// Where everything lies that a rank has written, by entry and chunk.
type Places = HashMap<(usize, Option<Region>), Place>;

/// So many places are remembered at the most.
const PLACES: usize = 1 << 16;
/// So many bytes of footers: those of 256 GiB.
const FOOTERS: usize = 16 << 20;

impl OpenedNative {
    /// A checkpoint with this index. `transforms` are what is known besides what is known anyway.
    pub(crate) fn decode(index: &[u8], transforms: &Transforms) -> Result<Self, StorageError> {
        let fingerprint = Digest::of(index);
        let (tables, places, index) = (Lately::new(FOOTERS), Lately::new(PLACES), Index::decode(index)?);
        let layers = transforms.layers(index.transforms.iter().map(String::as_str));
        Ok(Self { index, fingerprint, layers, tables, places })
    }

    fn path(&self, rank: Rank, number: u32) -> Result<StorePath, StorageError> {
        DataName { rank, number, generation: self.index.generation }.path()
    }

    fn table(&self, path: &StorePath) -> Option<Arc<Table>> {
        self.tables.get(path)
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
        if let Some(places) = self.places.get(&rank) {
            return Ok(places);
        }
        let places = Arc::new(self.compute_places(rank)?);
        self.places.remember(rank, &places, places.len());
        Ok(places)
    }

    fn compute_places(&self, rank: Rank) -> Result<Places, StorageError> {
        let facts = self.index.files_of(rank);
        let lies = |reason: String| match self.path(rank, 0) {
            Ok(path) => StorageError::Corrupt { path, offset: 0, reason },
            Err(error) => error,
        };
        let too_large = || lies("its items are larger than can be counted".into());
        let files = self.index.rule.files_of(self.index.plan.items_of(rank)).ok_or_else(too_large)?;
        if files.len() != facts.len() {
            let (planned, found) = (files.len(), facts.len());
            return Err(lies(format!("rank {rank} should have {planned} files, but the index lists {found}")));
        }
        let mut places = HashMap::new();
        for (file, facts) in files.iter().zip(facts) {
            let contradicts = || lies(format!("the index lists {facts:?}, which its own plan contradicts"));
            if file.number != facts.number {
                return Err(contradicts());
            }
            let path = self.path(rank, file.number)?;
            let (shared, is_encoded) = (Arc::new(facts.clone()), !self.layers.is_empty());
            let footer = if is_encoded { encoded_footer(file, facts) } else { self.footer(file, facts) };
            let footer = footer.ok_or_else(contradicts)?;
            let place = |at| {
                let items = if is_encoded { file.item_count() } else { 0 };
                Place { path: path.clone(), at, footer, items, facts: Arc::clone(&shared) }
            };
            let keys = file.items().map(|item| match &item.what {
                WriteWhat::Chunk(stored, _) => (item.entry, Some(stored.region.clone())),
                WriteWhat::Value => (item.entry, None),
            });
            if is_encoded {
                places.extend(keys.zip((0..).map(At::Number).map(place)));
            } else {
                places.extend(keys.zip(self.extents(file, facts).map(At::Extent).map(place)));
            }
        }
        Ok(places)
    }

    /// Where the footer of a file of layout rule 1 starts, if all that the index says of the file fits together.
    fn footer(&self, file: &PlannedFile, facts: &FileFacts) -> Option<u64> {
        let footer = file.footer_offset(&facts.values)?;
        let entries = footer::entries(file.lengths(&facts.values), self.index.rule.block)?;
        let size = footer.checked_add(entries.checked_mul(4)?)?;
        (file.values.len() == facts.values.len() && size == facts.size).then_some(footer)
    }

    /// Where the items of a file of layout rule 1 lie, in order. That it can be computed has been found out by [`footer`](Self::footer).
    fn extents<'a>(&self, file: &'a PlannedFile, facts: &'a FileFacts) -> impl Iterator<Item = Stored> + use<'a> {
        let (block, mut check) = (self.index.rule.block, 0);
        let chunks = file.chunks.iter().map(|chunk| (chunk.offset, chunk.length));
        let values = facts.values.iter().scan(file.chunks_end, |end, &length| {
            *end += length;
            Some((*end - length, length))
        });
        chunks.chain(values).map(move |(offset, length)| {
            let checks = check..check + length.div_ceil(block) as usize;
            check = checks.end;
            Stored { offset, length, checks }
        })
    }
}

/// Where the footer of a file of layout rule 2 starts, if that can be. The rest is for the footer itself to say.
fn encoded_footer(file: &PlannedFile, facts: &FileFacts) -> Option<u64> {
    let [footer] = *facts.values else { return None };
    let least = 8 * file.item_count() as u64;
    let checks = facts.size.checked_sub(footer)?.checked_sub(least)?;
    (checks % 4 == 0).then_some(footer)
}

/// Where an item lies.
#[derive(Clone, Debug)]
struct Place {
    path: StorePath,
    at: At,
    /// Where the footer of its file starts.
    footer: u64,
    /// How many items the footer tells of.
    items: usize,
    facts: Arc<FileFacts>,
}

#[derive(Clone, Debug)]
enum At {
    /// As the layout rule says.
    Extent(Stored),
    /// The footer says where the item of this number lies.
    Number(usize),
}

impl OpenedCheckpoint for OpenedNative {
    fn metadata(&self) -> &Arc<Metadata> {
        self.index.plan.metadata()
    }

    fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    fn locate(self: Arc<Self>, items: Vec<ReadItem>) -> Box<dyn Ask<Output = Vec<Locator>>> {
        let (places, asked, tables) = (Vec::new(), Vec::new(), HashMap::new());
        Box::new(Locate { opened: self, items, places, asked, tables, stage: Stage::Sizes })
    }
}

/// Finds items: needs the sizes of the files that hold them, then their footers.
struct Locate {
    opened: Arc<OpenedNative>,
    items: Vec<ReadItem>,
    places: Vec<Place>,
    asked: Vec<Place>,
    /// Those of the files that hold the items, whatever is forgotten meanwhile.
    tables: HashMap<StorePath, Arc<Table>>,
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
                    let table = checked_table(place, reply, &self.opened.index)?;
                    self.opened.tables.remember(place.path.clone(), &table, table.bytes());
                    self.tables.insert(place.path.clone(), table);
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
                if !self.tables.contains_key(&place.path) && !files.contains_key(&place.path) {
                    match self.opened.table(&place.path) {
                        Some(table) => drop(self.tables.insert(place.path.clone(), table)),
                        None => drop(files.insert(place.path.clone(), place.clone())),
                    }
                }
                found[number] = Some(place.clone());
            }
        }
        self.places = found.into_iter().flatten().collect();
        self.asked = files.into_values().collect();
        Ok(())
    }

    fn locator(&self, place: &Place) -> Result<Locator, StorageError> {
        let table = self.tables.get(&place.path).ok_or_else(|| corrupt(place, "it has no checksums".into()))?;
        let stored = match &place.at {
            At::Extent(stored) => stored,
            At::Number(number) => table.items.get(*number).ok_or_else(|| corrupt(place, "it lacks an item".into()))?,
        };
        let Stored { offset, length, checks: entries } = stored.clone();
        let Index { checksum: kind, rule, .. } = self.opened.index;
        let (block, table) = (rule.block, Arc::clone(&table.checks));
        let (file, checks) = (place.path.clone(), Some(BlockChecks { kind, block, table, entries }));
        let layers = self.opened.layers.clone();
        Ok(if layers.is_empty() {
            Locator::Extent(Extent { file, offset, length, layout: Layout::default(), checks })
        } else {
            Locator::Stream(Stream { file, offset, length, layers, codec: None, checks })
        })
    }
}

fn check_size(place: &Place, reply: &Reply) -> Result<(), StorageError> {
    match reply {
        Reply::Size(found) if *found == place.facts.size => Ok(()),
        other => Err(corrupt(place, format!("it should have {} bytes, but has {}", place.facts.size, show(other)))),
    }
}

fn checked_table(place: &Place, reply: &Reply, index: &Index) -> Result<Arc<Table>, StorageError> {
    match reply {
        Reply::Bytes(bytes) if index.checksum.of(bytes) == place.facts.footer_crc => {
            let table = Table::decode(bytes, place.items, place.footer, index.rule.block);
            table.map(Arc::new).map_err(|reason| corrupt(place, format!("its footer is not sound: {reason}")))
        }
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
