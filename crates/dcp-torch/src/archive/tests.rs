use bytes::Bytes;

use super::sample::{Record, archive, record, tensor};
use super::{Archive, ByteOrder, Fault, Known, Lack, MAX_PICKLE, Storages, Wrong};

const DATA: &[u8] = b"six floats are 24 bytes!";

fn read(bytes: Vec<u8>) -> Result<Archive, Fault> {
    Archive::read(&Known::whole(Bytes::from(bytes))).map_err(Lack::into_fault)
}

fn refused(bytes: Vec<u8>) -> String {
    match read(bytes) {
        Err(fault) => fault.reason(),
        Ok(archive) => panic!("{archive:?} is read"),
    }
}

#[test]
fn an_archive_is_read_from_either_end() {
    let bytes = archive(&tensor(DATA));
    let start = bytes.windows(DATA.len()).position(|window| window == DATA).expect("there") as u64;
    let mut known = Known::new(bytes.len() as u64);
    let mut rounds = 0;
    let stored = loop {
        let step = Archive::read(&known).and_then(|archive| {
            archive.pickle(&known, MAX_PICKLE)?;
            archive.storage(&known, "0")
        });
        match step {
            Ok(stored) => break stored,
            Err(Lack::Bytes { offset, length }) => {
                let part = &bytes[offset as usize..(offset + length) as usize];
                known.learn(offset, Bytes::copy_from_slice(part));
            }
            Err(Lack::Fault(fault)) => panic!("{fault:?}"),
        }
        rounds += 1;
        assert!(rounds < 32);
    };
    assert_eq!((stored.offset, stored.length, stored.crc), (start, 24, Some(crc32fast::hash(DATA))));
}

#[test]
fn a_comment_may_follow_the_end() {
    let mut bytes = archive(&tensor(DATA));
    let comment = bytes.len() - 2;
    bytes[comment] = 5;
    bytes.extend(b"hello");
    assert_eq!(read(bytes).map(|archive| archive.byte_order()), Ok(ByteOrder::Little));
}

#[test]
fn what_pytorch_does_not_write_is_refused() {
    let with = |change: &dyn Fn(&mut Vec<Record>)| {
        let mut records = tensor(DATA);
        change(&mut records);
        archive(&records)
    };
    for (change, expected) in [
        (&(|records: &mut Vec<Record>| records[2].method = 8) as &dyn Fn(&mut Vec<Record>), "compressed"),
        (&|records| records[2].flags |= 1, "encrypted"),
        (&|records| records.push(records[0].clone()), "twice"),
        (&|records| records[0].name = "data.pkl".into(), "no data.pkl"),
        (&|records| records[1].name = "other/byteorder".into(), "is not below archive/"),
        (&|records| records[1].content = b"middle".to_vec(), "checksum"),
        (&|records| records[1] = record("archive/byteorder", b"middle"), "no byte order"),
        (&|records| records[3] = record("archive/version", b"99\n"), "version"),
        (&|records| drop(records.pop()), "no version"),
        (&|records| records.push(record("archive/constants.pkl", b"")), "TorchScript"),
    ] {
        let reason = refused(with(change));
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}

#[test]
fn end_records_that_lie_are_refused() {
    let bytes = archive(&tensor(DATA));
    let (end64, end) = (bytes.len() - 22 - 20 - 56, bytes.len() - 22);
    // The length of the zip64 record, the number of entries in either record, the directory's length and start.
    for (at, patch) in [
        (end64 + 4, [0xff; 8].as_slice()),
        (end64 + 32, &(1u64 << 60).to_le_bytes()),
        (end64 + 40, &[0xff; 8]),
        (end64 + 48, &[0xff; 8]),
        (end + 10, &[9, 0]),
        (end + 12, &[1, 1, 1, 1]),
        (end + 16, &[1, 1, 1, 1]),
    ] {
        let mut bytes = bytes.clone();
        bytes[at..at + patch.len()].copy_from_slice(patch);
        let fault = read(bytes).expect_err("refused");
        assert!(matches!(fault.what, Wrong::Malformed(_)), "{at}: {fault:?}");
    }
    for length in 0..bytes.len() {
        refused(bytes[..length].to_vec());
    }
}

#[test]
fn a_storage_may_not_reach_into_what_follows() {
    let mut bytes = archive(&tensor(DATA));
    let name = b"archive/data/0";
    let entry = bytes.windows(name.len()).rposition(|window| window == name).expect("in the directory") - 46;
    bytes[entry + 20..entry + 28].copy_from_slice(&[1, 1, 0, 0, 1, 1, 0, 0]);
    let known = Known::whole(Bytes::from(bytes));
    let storage = Archive::read(&known).and_then(|archive| archive.storage(&known, "0"));
    assert!(storage.is_err_and(|lack| lack.into_fault().reason().contains("overlaps")));
}
