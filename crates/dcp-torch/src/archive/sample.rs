//! Archives for tests.

/// An entry to be written.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    pub(crate) crc: u32,
    pub(crate) method: u16,
    pub(crate) flags: u16,
}

/// An entry as PyTorch writes it.
pub(crate) fn record(name: &str, content: &[u8]) -> Record {
    let crc = crc32fast::hash(content);
    Record { name: name.into(), content: content.into(), crc, method: 0, flags: 0x0808 }
}

/// A pickle of a float32 tensor of 2 x 3 in storage 0, transposed: strides (1, 2).
pub(crate) const PICKLE: &[u8] = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQK\x00K\x02K\x03\x86K\x01K\x02\x86\x89ccollections\nOrderedDict\n)RtR.";

/// The entries of a tensor's archive.
pub(crate) fn tensor(data: &[u8]) -> Vec<Record> {
    vec![
        record("archive/data.pkl", PICKLE),
        record("archive/byteorder", b"little"),
        record("archive/data/0", data),
        record("archive/version", b"3\n"),
    ]
}

/// An archive of entries: sizes in data descriptors and the directory, and a zip64 end record, as PyTorch has them.
pub(crate) fn archive(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for Record { name, content, crc, method, flags } in records {
        let header = bytes.len() as u32;
        let padding = (bytes.len() + 30 + name.len()).next_multiple_of(64) - bytes.len() - 30 - name.len();
        let extra = if padding < 4 { Vec::new() } else { vec![b'Z'; padding] };
        let size = content.len() as u32;
        bytes.extend(b"PK\x03\x04\0\0");
        bytes.extend([flags.to_le_bytes(), method.to_le_bytes(), [0; 2], [0; 2]].concat());
        bytes.extend(crc.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend([(name.len() as u16).to_le_bytes(), (extra.len() as u16).to_le_bytes()].concat());
        bytes.extend(name.as_bytes());
        bytes.extend(extra);
        bytes.extend(content);
        bytes.extend(b"PK\x07\x08");
        bytes.extend([crc.to_le_bytes(), size.to_le_bytes(), size.to_le_bytes()].concat());
        directory.extend(b"PK\x01\x02\0\0\0\0");
        directory.extend([flags.to_le_bytes(), method.to_le_bytes(), [0; 2], [0; 2]].concat());
        directory.extend([crc.to_le_bytes(), size.to_le_bytes(), size.to_le_bytes()].concat());
        directory.extend((name.len() as u16).to_le_bytes());
        directory.extend([0; 12]);
        directory.extend(header.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (bytes.len() as u64, records.len() as u64);
    bytes.extend(&directory);
    let end = bytes.len() as u64;
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44u64.to_le_bytes());
    bytes.extend([0; 12]);
    bytes.extend([count, count, directory.len() as u64, start].map(u64::to_le_bytes).concat());
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(end.to_le_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([(count as u16).to_le_bytes(), (count as u16).to_le_bytes()].concat());
    bytes.extend([(directory.len() as u32).to_le_bytes(), (start as u32).to_le_bytes()].concat());
    bytes.extend([0; 2]);
    bytes
}
