//! Finds items in `.distcp` files. The index tells where an item's archive lies; where the tensor's bytes lie in it, in which
//! order and with which strides, only the archive itself tells.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dcp_storage::{
    Ask, Extent, Layout, Locator, Need, OpenedCheckpoint, Reply, Step, StorageError, StorePath, Stream, StreamCodec,
};
use dcp_types::{Fqn, ReadItem, ReadWhat, TensorEntry};

use super::blob::{Blob, is_blob};
use super::opened::{ItemPlace, OpenedDcp};
use super::stream::TensorInArchive;
use crate::archive::{Archive, Known, Lack, malformed};
use crate::object::{self, TensorRef};

/// Of a large archive this much is read at once from either end: what it needs but for the tensor itself.
const EDGE: u64 = 4 << 10;
/// An archive of at most so many bytes is read whole.
const SMALL: u64 = 16 << 10;
/// The most archives that are looked into at a time.
const BATCH: usize = 1024;
/// About how many bytes are asked for at a time after that.
const ROUND_BYTES: u64 = 16 << 20;
/// The largest pickle of a tensor, and the largest directory of its archive: they say a few numbers.
const TENSOR_RECORDS: u64 = 64 << 10;
/// An archive that has asked for bytes so often leads nowhere.
const ROUNDS: usize = 32;

/// The machine that finds items.
pub(super) struct Locate {
    opened: Arc<OpenedDcp>,
    items: Vec<ReadItem>,
    found: Vec<Option<Locator>>,
    /// The next item to look at.
    next: usize,
    asked: Asked,
    searches: Vec<Search>,
}

enum Asked {
    Nothing,
    Sizes(Vec<StorePath>),
    /// For each part, of which search it is, and from where on.
    Bytes(Vec<(usize, u64)>),
}

/// A place that is being looked into, for one item or several: those of a blob share a place.
struct Search {
    file: StorePath,
    offset: u64,
    /// The items, and the length that the index says.
    items: Vec<(usize, u64)>,
    /// From the start of the place on.
    known: Known,
    rounds: usize,
}

impl Locate {
    pub(super) fn new(opened: Arc<OpenedDcp>, items: Vec<ReadItem>) -> Self {
        let found = vec![None; items.len()];
        Self { opened, items, found, next: 0, asked: Asked::Nothing, searches: Vec::new() }
    }
}

impl Ask for Locate {
    type Output = Vec<Locator>;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Vec<Locator>>, StorageError> {
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Nothing => self.ask_sizes(),
            Asked::Sizes(paths) => {
                for (path, reply) in paths.into_iter().zip(replies) {
                    if let Reply::Size(size) = reply {
                        self.opened.remember_size(path, size);
                    }
                }
                self.begin_batch()
            }
            Asked::Bytes(parts) => {
                for ((search, offset), reply) in parts.into_iter().zip(replies) {
                    if let Reply::Bytes(bytes) = reply {
                        self.searches[search].known.learn(offset, bytes);
                    }
                }
                self.search()
            }
        }
    }
}

impl Locate {
    /// Needs the sizes of the files that hold the items.
    fn ask_sizes(&mut self) -> Result<Step<Vec<Locator>>, StorageError> {
        let mut unknown = BTreeSet::new();
        for item in &self.items {
            let file = self.place(item)?.file;
            if self.opened.size_of(&file).is_none() {
                unknown.insert(file);
            }
        }
        let paths: Vec<_> = unknown.into_iter().collect();
        let needs = paths.iter().cloned().map(Need::Size).collect();
        self.asked = Asked::Sizes(paths);
        Ok(Step::Needs(needs))
    }

    /// Begins to look for the next items.
    fn begin_batch(&mut self) -> Result<Step<Vec<Locator>>, StorageError> {
        let (mut needs, mut parts) = (Vec::new(), Vec::new());
        let mut places: HashMap<(StorePath, u64), usize> = HashMap::new();
        while self.next < self.items.len() && self.searches.len() < BATCH {
            let number = self.next;
            self.next += 1;
            let item = &self.items[number];
            let place = self.place(item)?;
            let size = self.opened.size_of(&place.file).unwrap_or(0);
            if place.offset.checked_add(place.length).is_none_or(|end| end > size) {
                let ItemPlace { file, offset, length, .. } = place;
                let reason = format!("{} has {length} bytes here, but the file ends at {size}", self.fqn(item));
                return Err(StorageError::Corrupt { path: file, offset, reason });
            }
            let located = match self.opened.located(item) {
                None => self.without_looking(item, &place),
                remembered => remembered,
            };
            if located.is_some() {
                self.found[number] = located;
                continue;
            }
            let ItemPlace { file, offset, length, .. } = place;
            let key = (file.clone(), offset);
            if let Some(&search) = places.get(&key) {
                self.searches[search].items.push((number, length));
                continue;
            }
            let known = Known::new(size - offset);
            let search = self.searches.len();
            for (start, length) in first_look(length, known.length()) {
                needs.push(Need::Range { path: file.clone(), offset: offset + start, length });
                parts.push((search, start));
            }
            places.insert(key, search);
            self.searches.push(Search { file, offset, items: vec![(number, length)], known, rounds: 0 });
        }
        if self.searches.is_empty() {
            return Ok(Step::Done(std::mem::take(&mut self.found).into_iter().flatten().collect()));
        }
        self.asked = Asked::Bytes(parts);
        Ok(Step::Needs(needs))
    }

    /// Goes on as far as the bytes allow that are known.
    fn search(&mut self) -> Result<Step<Vec<Locator>>, StorageError> {
        let (mut needs, mut parts, mut left) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0;
        for mut search in std::mem::take(&mut self.searches) {
            while let Some(&(number, length)) = search.items.last() {
                match self.look(number, length, &search) {
                    Ok(locator) => {
                        self.opened.remember(&self.items[number], &locator);
                        self.found[number] = Some(locator);
                        search.items.pop();
                    }
                    Err(Lack::Bytes { .. }) if bytes >= ROUND_BYTES => break,
                    Err(Lack::Bytes { offset, length }) if search.rounds < ROUNDS => {
                        search.rounds += 1;
                        bytes += length;
                        needs.push(Need::Range { path: search.file.clone(), offset: search.offset + offset, length });
                        parts.push((left.len(), offset));
                        break;
                    }
                    Err(lack) => return Err(self.fault(lack, number, &search)),
                }
            }
            if !search.items.is_empty() {
                left.push(search);
            }
        }
        self.searches = left;
        if self.searches.is_empty() {
            return self.begin_batch();
        }
        self.asked = Asked::Bytes(parts);
        Ok(Step::Needs(needs))
    }

    /// Values are read whole, and streams cannot be looked into.
    fn without_looking(&self, item: &ReadItem, place: &ItemPlace) -> Option<Locator> {
        let ItemPlace { file, offset, length, layers } = place.clone();
        match &item.what {
            _ if !layers.is_empty() => {
                let codec = self.codec(item);
                Some(Locator::Stream(Stream { file, offset, length, layers, codec, checks: None }))
            }
            ReadWhat::Value => {
                Some(Locator::Extent(Extent { file, offset, length, layout: Layout::default(), checks: None }))
            }
            ReadWhat::Region { .. } => None,
        }
    }

    /// What takes the archive off a tensor in a stream. A value is the whole archive.
    fn codec(&self, item: &ReadItem) -> Option<Arc<dyn StreamCodec>> {
        let (ReadWhat::Region { chunk, .. }, Some(tensor)) = (&item.what, self.tensor(item)) else { return None };
        Some(Arc::new(TensorInArchive { dtype: tensor.dtype, sizes: chunk.region.sizes().to_vec() }))
    }

    /// Finds an item's bytes.
    fn look(&self, number: usize, length: u64, search: &Search) -> Result<Locator, Lack> {
        let item = &self.items[number];
        let (Some(tensor), ReadWhat::Region { chunk, .. }) = (self.tensor(item), &item.what) else {
            return Err(malformed(0, "it is no tensor"));
        };
        let sizes = chunk.region.sizes();
        let start = search.known.get(0, search.known.length().min(9))?;
        if is_blob(&start) {
            return self.look_into_blob(search, &self.fqn(item), tensor, sizes);
        }
        let known = search.known.up_to(length);
        let archive = Archive::read_small(&known, TENSOR_RECORDS)?;
        let (pickle, at) = archive.pickle(&known, TENSOR_RECORDS)?;
        let (found, _) = object::tensor(&pickle).map_err(|fault| fault.at(at))?;
        check(&found, tensor, sizes).map_err(|reason| malformed(at, reason))?;
        let stored = archive.storage(&known, &found.storage.key)?;
        found.storage.check(stored.length).map_err(|reason| malformed(stored.offset, reason))?;
        let layout = found.layout(archive.byte_order);
        Ok(Locator::Extent(stored.extent(search.file.clone(), search.offset, layout)))
    }

    fn look_into_blob(&self, search: &Search, fqn: &Fqn, tensor: &TensorEntry, sizes: &[u64]) -> Result<Locator, Lack> {
        let key = (search.file.clone(), search.offset);
        let blob = self.opened.blob(&key, || Blob::read(&search.known))?;
        let Some(found) = blob.find(fqn.as_str()) else {
            return Err(malformed(8, "the safetensors blob has no such tensor"));
        };
        if found.dtype != tensor.dtype.name() || found.shape != sizes {
            let (expected, dtype, shape) = (tensor.dtype, found.dtype, found.shape);
            return Err(malformed(
                8,
                format!("the index says {expected} {sizes:?}, the safetensors blob {dtype} {shape:?}"),
            ));
        }
        let (file, offset) = (search.file.clone(), search.offset + found.offset);
        Ok(Locator::Extent(Extent { file, offset, length: found.length, layout: Layout::default(), checks: None }))
    }

    fn tensor(&self, item: &ReadItem) -> Option<&TensorEntry> {
        self.opened.metadata().entry(item.entry).and_then(|(_, entry)| entry.as_tensor())
    }

    fn fqn(&self, item: &ReadItem) -> Fqn {
        self.opened.metadata().entry(item.entry).map_or("?".into(), |(fqn, _)| fqn.clone())
    }

    fn place(&self, item: &ReadItem) -> Result<ItemPlace, StorageError> {
        let missing = || {
            let reason = format!("nobody has written a part of {}", self.fqn(item));
            StorageError::Corrupt { path: self.opened.index_path().clone(), offset: 0, reason }
        };
        self.opened.place(item).ok_or_else(missing)
    }

    fn fault(&self, lack: Lack, number: usize, search: &Search) -> StorageError {
        let fqn = self.fqn(&self.items[number]);
        lack.into_fault().of(fqn.as_str()).into_error(&search.file, search.offset)
    }
}

/// What is read of an item to begin with: offsets and lengths from its start on. `there` bytes follow its start in the file.
fn first_look(length: u64, there: u64) -> Vec<(u64, u64)> {
    if length <= SMALL {
        // A blob may be longer than the tensor.
        return vec![(0, length.max(EDGE).min(there))];
    }
    vec![(0, EDGE), (length - EDGE, EDGE)]
}

/// The tensor in an archive is the chunk that the index speaks of.
fn check(found: &TensorRef, tensor: &TensorEntry, sizes: &[u64]) -> Result<(), String> {
    if found.dtype != tensor.dtype {
        return Err(format!("the index says {}, the archive holds {}", tensor.dtype, found.dtype));
    }
    if found.shape != sizes {
        return Err(format!("the index says a chunk of {sizes:?}, the archive holds {:?}", found.shape));
    }
    // PyTorch makes a copy of what is expanded; a shape that nothing stands behind is not read.
    if found.nbytes() > found.storage.length {
        let (shown, stored) = (found.nbytes(), found.storage.length);
        return Err(format!("it shows {shown} bytes, but stores {stored}"));
    }
    Ok(())
}
