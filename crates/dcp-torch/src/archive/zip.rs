//! The table of contents of a zip archive: just as much of zip as PyTorch writes. Entries are stored, sizes come from the
//! central directory (PKWARE's APPNOTE 6.3, sections 4.3.7 to 4.3.16), zip64 included.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::fields::Fields;
use super::known::{Known, Lack, malformed, unreadable};
use super::local::LocalHeader;

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Box<str>,
    /// 0 stands for none, with PyTorch.
    pub(crate) crc: u32,
    /// In bytes.
    pub(crate) size: u64,
    /// Where its local header starts.
    pub(crate) header: u64,
}

/// The entries of an archive, in the order in which they lie in it.
#[derive(Debug)]
pub(crate) struct Directory {
    entries: Vec<Entry>,
    by_name: HashMap<Box<str>, usize>,
    /// Where the directory starts: entries lie before.
    start: u64,
}

const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
/// Sizes in bytes of records without their variable parts.
const LOCAL_LENGTH: u64 = LocalHeader::LENGTH as u64;
const CENTRAL_LENGTH: u64 = 46;
const END_LENGTH: u64 = 22;
const END64_LENGTH: u64 = 56;
const LOCATOR64_LENGTH: u64 = 20;

impl Directory {
    /// Reads the end of an archive, then its directory, if it is not too long.
    pub(crate) fn read(known: &Known, longest: u64) -> Result<Self, Lack> {
        let end = End::read(known)?;
        if end.length > longest {
            return Err(unreadable(end.start, format!("a directory of {} bytes", end.length)));
        }
        let bytes = known.get(end.start, end.length)?;
        let entries = entries(&bytes, &end)?;
        let by_name = entries.iter().enumerate().map(|(number, entry)| (entry.name.clone(), number)).collect();
        Ok(Self { entries, by_name, start: end.start })
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|&number| &self.entries[number])
    }

    /// Where the content of an entry starts: after its local header, which says how long it is itself.
    pub(crate) fn content_of(&self, known: &Known, entry: &Entry) -> Result<u64, Lack> {
        let header = known.get(entry.header, LOCAL_LENGTH + entry.name.len() as u64)?;
        let Some(LocalHeader { name, extra }) = LocalHeader::read(&header) else {
            return Err(malformed(entry.header, format!("{} has no local header", entry.name)));
        };
        if usize::from(name) != entry.name.len() || header[LocalHeader::LENGTH..] != *entry.name.as_bytes() {
            return Err(malformed(entry.header, format!("the local header of {} has another name", entry.name)));
        }
        let start = entry.header + LOCAL_LENGTH + u64::from(name) + u64::from(extra);
        let next = self.entries.partition_point(|other| other.header <= entry.header);
        let limit = self.entries.get(next).map_or(self.start, |next| next.header);
        if start.checked_add(entry.size).is_none_or(|end| end > limit) {
            return Err(malformed(entry.header, format!("{} overlaps what comes after it", entry.name)));
        }
        Ok(start)
    }

    /// The content of an entry, compared with its checksum.
    pub(crate) fn content(&self, known: &Known, entry: &Entry) -> Result<Bytes, Lack> {
        let start = self.content_of(known, entry)?;
        let content = known.get(start, entry.size)?;
        let found = if entry.crc == 0 { 0 } else { crc32fast::hash(&content) };
        if found != entry.crc {
            let (name, expected) = (&entry.name, entry.crc);
            return Err(malformed(start, format!("{name} has checksum {found:08x}, expected {expected:08x}")));
        }
        Ok(content)
    }
}

/// What the end of an archive says of its directory.
struct End {
    start: u64,
    length: u64,
    entries: u64,
}

impl End {
    fn read(known: &Known) -> Result<Self, Lack> {
        let at = find_end(known)?;
        let record = known.get(at, END_LENGTH)?;
        let mut fields = Fields::new(&record);
        fields.skip(4);
        let (disk, disk_of_directory) = (fields.u16(), fields.u16());
        let (here, entries) = (fields.u16(), fields.u16());
        let (length, start) = (u64::from(fields.u32()), u64::from(fields.u32()));
        let short = Self { start, length, entries: entries.into() };
        let (end, limit) = match at.checked_sub(LOCATOR64_LENGTH) {
            Some(locator) if Fields::new(&known.get(locator, 4)?).u32() == LOCATOR64 => {
                Self::read_long(known, locator, &short)?
            }
            _ if disk != 0 || disk_of_directory != 0 || here != entries => {
                return Err(unreadable(at, "an archive in several parts"));
            }
            _ => (short, at),
        };
        // Only the directory lies between its start and the end records: offsets count from the archive's first byte.
        if end.start.checked_add(end.length) != Some(limit) {
            let Self { start, length, .. } = end;
            return Err(malformed(at, format!("a directory of {length} bytes at {start} does not end at {limit}")));
        }
        if end.entries.checked_mul(CENTRAL_LENGTH).is_none_or(|least| least > end.length) {
            return Err(malformed(at, format!("{} bytes of directory have no {} entries", end.length, end.entries)));
        }
        Ok(end)
    }

    /// The zip64 record, and where it starts. What the short record says must be the same, or all ones.
    fn read_long(known: &Known, locator: u64, short: &Self) -> Result<(Self, u64), Lack> {
        let bytes = known.get(locator, LOCATOR64_LENGTH)?;
        let mut fields = Fields::new(&bytes);
        fields.skip(8);
        let at = fields.u64();
        let record = known.get(at, END64_LENGTH)?;
        let mut fields = Fields::new(&record);
        let signature = fields.u32();
        let end = fields.u64().checked_add(12).and_then(|length| at.checked_add(length));
        if signature != END64 || end != Some(locator) {
            return Err(malformed(at, "the zip64 end record is not where it should be"));
        }
        fields.skip(12);
        let (here, entries, length, start) = (fields.u64(), fields.u64(), fields.u64(), fields.u64());
        let agrees = |short: u64, long: u64, ones: u64| short == long || short == ones;
        let is_same = agrees(short.entries, entries, u16::MAX.into())
            && agrees(short.length, length, u32::MAX.into())
            && agrees(short.start, start, u32::MAX.into());
        if !is_same || here != entries {
            return Err(malformed(at, "the two end records contradict each other"));
        }
        Ok((Self { start, length, entries }, at))
    }
}

/// Where the end record starts: at the very end, but for a comment.
fn find_end(known: &Known) -> Result<u64, Lack> {
    let Some(last) = known.length().checked_sub(END_LENGTH) else {
        return Err(malformed(0, format!("{} bytes are no zip archive", known.length())));
    };
    let is_end = |record: &[u8], after: u64| {
        let mut fields = Fields::new(record);
        let signature = fields.u32();
        fields.skip(16);
        signature == END && u64::from(fields.u16()) == after
    };
    if is_end(&known.get(last, END_LENGTH)?, 0) {
        return Ok(last);
    }
    let first = last.saturating_sub(u16::MAX.into());
    let tail = known.get(first, known.length() - first)?;
    let found =
        (0..last - first).rev().find(|&at| is_end(&tail[at as usize..][..END_LENGTH as usize], last - first - at));
    found
        .map(|at| first + at)
        .ok_or_else(|| malformed(last, "it has no end record: it was cut off, or is no zip archive"))
}

fn entries(bytes: &[u8], end: &End) -> Result<Vec<Entry>, Lack> {
    let mut entries = Vec::new();
    let mut names = HashSet::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = end.start + (bytes.len() - rest.len()) as u64;
        let (entry, after) = entry(rest, at)?;
        if entry.header.checked_add(LOCAL_LENGTH).is_none_or(|content| content > end.start) {
            return Err(malformed(at, format!("{} does not lie before the directory", entry.name)));
        }
        if !names.insert(entry.name.clone()) {
            return Err(malformed(at, format!("{} is there twice", entry.name)));
        }
        entries.push(entry);
        rest = after;
    }
    if entries.len() as u64 != end.entries {
        let found = entries.len();
        return Err(malformed(end.start, format!("{} entries are announced, {found} are there", end.entries)));
    }
    entries.sort_by_key(|entry| entry.header);
    match entries.windows(2).find(|pair| pair[0].header == pair[1].header) {
        Some(pair) => Err(malformed(pair[0].header, format!("{} and {} are one entry", pair[0].name, pair[1].name))),
        None => Ok(entries),
    }
}

/// The first entry of a part of the directory, and what comes after it.
fn entry(bytes: &[u8], at: u64) -> Result<(Entry, &[u8]), Lack> {
    let cut = || malformed(at, "the directory is cut off");
    let (fixed, rest) = bytes.split_at_checked(CENTRAL_LENGTH as usize).ok_or_else(cut)?;
    let mut fields = Fields::new(fixed);
    if fields.u32() != CENTRAL {
        return Err(malformed(at, "this is no entry of a directory"));
    }
    fields.skip(4);
    let (flags, method) = (fields.u16(), fields.u16());
    fields.skip(4);
    let crc = fields.u32();
    let (stored, size) = (fields.u32(), fields.u32());
    let (name, extra, comment) = (fields.u16(), fields.u16(), fields.u16());
    fields.skip(8);
    let header = fields.u32();
    let (name, rest) = rest.split_at_checked(name.into()).ok_or_else(cut)?;
    let (extra, rest) = rest.split_at_checked(extra.into()).ok_or_else(cut)?;
    let (_, rest) = rest.split_at_checked(comment.into()).ok_or_else(cut)?;
    let name = std::str::from_utf8(name).map_err(|_| malformed(at, "a name is not UTF-8"))?;
    if flags & 1 != 0 {
        return Err(unreadable(at, format!("the encrypted entry {name}")));
    }
    if method != 0 {
        return Err(unreadable(at, format!("the compressed entry {name}: PyTorch stores as it is")));
    }
    // What does not fit 32 bits is in an extra field, in this order.
    let mut long = zip64(extra);
    let mut wide = |short: u32| if short == u32::MAX { long.next().ok_or_else(cut) } else { Ok(short.into()) };
    let (size, stored, header) = (wide(size)?, wide(stored)?, wide(header)?);
    if size != stored {
        return Err(malformed(at, format!("{name} has {stored} bytes stored of {size}")));
    }
    Ok((Entry { name: name.into(), crc, size, header }, rest))
}

/// The numbers in the zip64 extra field.
fn zip64(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut numbers: &[u8] = &[];
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let mut fields = Fields::new(head);
        let (id, length) = (fields.u16(), usize::from(fields.u16()));
        let Some((content, after)) = rest.split_at_checked(length) else { break };
        if id == 1 {
            numbers = content;
        }
        extra = after;
    }
    numbers.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number))
}
