//! Writes archives as PyTorch does (`caffe2/serialize/inline_container.cc`, `miniz`): byte for byte what it would write.

use super::LocalHeader;

/// An archive that is being written. Records are named without their prefix.
pub(crate) struct ArchiveWriter {
    out: Vec<u8>,
    /// How long the archive is so far, with what was left out.
    position: u64,
    written: Vec<Written>,
    /// Stands for all checksums.
    id: u64,
}

/// A record that was written.
struct Written {
    name: String,
    crc: u32,
    size: u64,
    header: u64,
}

/// Payloads start at multiples of this.
const ALIGNMENT: u64 = 64;
/// What does not fit is in a zip64 field.
const LONG: u64 = u32::MAX as u64;
/// Names are UTF-8.
const UTF8: u16 = 0x800;
/// Checksum and size follow the content.
const DESCRIPTOR: u16 = 0x8;
/// An id begins with a hash of the names of all records, which nothing compares: those of an archive without storages, and with one.
const NAMES: [u64; 2] = [2_908_468_677_762_923_104, 15_728_199_511_854_643_026];

impl ArchiveWriter {
    /// An archive in PyTorch's own order, which begins with a pickle and all that says how to read the rest.
    pub(crate) fn new(pickle: &[u8]) -> Self {
        let mut writer = Self::storages_first();
        for (name, content) in
            [("data.pkl", pickle), (".format_version", b"1"), (".storage_alignment", b"64"), ("byteorder", b"little")]
        {
            writer.record(name, content);
        }
        writer
    }

    /// An archive that begins with storages; the [pickle](Self::pickle) comes later.
    pub(crate) fn storages_first() -> Self {
        Self { out: Vec::new(), position: 0, written: Vec::new(), id: 0 }
    }

    /// The pickle behind storages. Without a format version, from which PyTorch would conclude that they lie in its own order.
    pub(crate) fn pickle(&mut self, pickle: &[u8]) {
        self.record("data.pkl", pickle);
        self.record("byteorder", b"little");
    }

    /// A storage.
    pub(crate) fn storage(&mut self, key: &str, content: &[u8]) {
        self.record(&format!("data/{key}"), content);
    }

    /// The head of a storage of `size` bytes, which come next but not from here. Returns all bytes up to there.
    pub(crate) fn begin_storage(&mut self, key: &str, size: u64) -> Vec<u8> {
        self.begin(&format!("data/{key}"), size);
        self.position += size;
        std::mem::take(&mut self.out)
    }

    /// What follows the storage that was begun.
    pub(crate) fn end_storage(&mut self, crc: u32) {
        self.end(crc);
    }

    /// All bytes that were not yet taken, up to the end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.record("version", b"3\n");
        let is_storage = |record: &&Written| record.name.starts_with("archive/data/");
        let names = NAMES[self.written.iter().filter(is_storage).count().min(1)];
        let id = format!("{names:020}{:020}", self.id);
        self.record(".data/serialization_id", id.as_bytes());
        self.directory();
        self.out
    }

    fn record(&mut self, name: &str, content: &[u8]) {
        self.begin(name, content.len() as u64);
        self.put(content);
        self.end(crc32fast::hash(content));
    }

    /// A local header, and padding up to the content.
    fn begin(&mut self, name: &str, size: u64) {
        let (name, header) = (format!("archive/{name}"), self.position);
        let long = local_zip64(size, header);
        let unpadded = header + LocalHeader::LENGTH as u64 + name.len() as u64 + long.len() as u64 + 4;
        let padding = (unpadded.next_multiple_of(ALIGNMENT) - unpadded) as u16;
        let extra = long.len() as u16 + 4 + padding;
        self.put(b"PK\x03\x04\0\0");
        self.put(&(UTF8 | DESCRIPTOR).to_le_bytes());
        // Method, time, date, and what the descriptor will say.
        self.put(&[0; 18]);
        self.put(&(name.len() as u16).to_le_bytes());
        self.put(&extra.to_le_bytes());
        self.put(name.as_bytes());
        self.put(&long);
        self.put(b"FB");
        self.put(&padding.to_le_bytes());
        self.put(&vec![b'Z'; padding.into()]);
        self.written.push(Written { name, crc: 0, size, header });
    }

    /// The data descriptor of the last record. Without content there is none.
    fn end(&mut self, crc: u32) {
        self.id ^= u64::from(crc).wrapping_add(0x9e37_79b9).wrapping_add(self.id << 6).wrapping_add(self.id >> 2);
        let Some(last) = self.written.last_mut() else { return };
        last.crc = crc;
        let (size, is_long) = (last.size, is_long(last));
        if size == 0 {
            return;
        }
        self.put(b"PK\x07\x08");
        self.put(&crc.to_le_bytes());
        for _ in 0..2 {
            if is_long {
                self.put(&size.to_le_bytes());
            } else {
                self.put(&(size as u32).to_le_bytes());
            }
        }
    }

    fn directory(&mut self) {
        let (start, written) = (self.position, std::mem::take(&mut self.written));
        written.iter().for_each(|record| self.entry(record));
        let (count, length, end) = (written.len() as u64, self.position - start, self.position);
        self.put(b"PK\x06\x06");
        self.put(&44u64.to_le_bytes());
        self.put(&[0x1e, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        [count, count, length, start].iter().for_each(|number| self.put(&number.to_le_bytes()));
        self.put(b"PK\x06\x07\0\0\0\0");
        self.put(&end.to_le_bytes());
        self.put(&1u32.to_le_bytes());
        self.put(b"PK\x05\x06\0\0\0\0");
        for _ in 0..2 {
            self.put(&(count.min(u16::MAX.into()) as u16).to_le_bytes());
        }
        self.put(&short(length));
        self.put(&short(start));
        self.put(&[0; 2]);
    }

    fn entry(&mut self, record: &Written) {
        let Written { name, crc, size, header } = record;
        let sizes = (*size >= LONG).then_some(*size);
        let long = zip64([sizes, sizes, (*header >= LONG).then_some(*header)]);
        let flags = if *size == 0 { UTF8 } else { UTF8 | DESCRIPTOR };
        self.put(b"PK\x01\x02\0\0\0\0");
        self.put(&flags.to_le_bytes());
        self.put(&[0; 6]);
        self.put(&crc.to_le_bytes());
        self.put(&short(*size));
        self.put(&short(*size));
        self.put(&(name.len() as u16).to_le_bytes());
        self.put(&(long.len() as u16).to_le_bytes());
        self.put(&[0; 10]);
        self.put(&short(*header));
        self.put(name.as_bytes());
        self.put(&long);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.position += bytes.len() as u64;
    }
}

fn is_long(record: &Written) -> bool {
    record.size >= LONG || record.header >= LONG
}

/// The zip64 field of a local header.
fn local_zip64(size: u64, header: u64) -> Vec<u8> {
    let sizes = (size >= LONG).then_some(size);
    zip64([sizes, sizes, (header >= LONG).then_some(header)])
}

/// A zip64 field of these numbers; nothing if there are none.
fn zip64(numbers: [Option<u64>; 3]) -> Vec<u8> {
    let numbers: Vec<u8> = numbers.into_iter().flatten().flat_map(u64::to_le_bytes).collect();
    if numbers.is_empty() {
        return numbers;
    }
    [&1u16.to_le_bytes()[..], &(numbers.len() as u16).to_le_bytes(), &numbers].concat()
}

/// A number in 32 bits; all ones if it is larger.
fn short(number: u64) -> [u8; 4] {
    (number.min(LONG) as u32).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::{Archive, Known};
    use super::*;

    #[test]
    fn long_storages_are_found() {
        for size in [LONG - 1, LONG, 5 << 32] {
            let mut writer = ArchiveWriter::new(b"\x80\x02N.");
            let head = writer.begin_storage("0", size);
            writer.end_storage(7);
            let tail = writer.finish();
            let payload = head.len() as u64;
            assert_eq!(payload % ALIGNMENT, 0);
            let mut known = Known::new(payload + size + tail.len() as u64);
            known.learn(0, head.into());
            known.learn(payload + size, tail.into());
            let archive = Archive::read(&known).expect("an archive");
            let stored = archive.storage(&known, "0").expect("there");
            assert_eq!((stored.offset, stored.length, stored.crc), (payload, size, Some(7)));
        }
    }
}
