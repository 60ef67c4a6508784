//! Sources that are damaged, or change while they are read.

use std::fs::{self, OpenOptions};
use std::sync::Arc;

use dcp::crates::dcp_storage::conformance::{Fault, FaultStore, Faults};
use dcp::{Converter, DcpFormat, DeviceMesh, Error, LocalStore, MemoryStore, NativeFormat, Placement, StorageError};

use crate::support::{Place, contents, counting, save};

/// A checkpoint on disk in either format.
fn on_disk(is_native: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place: Place = Arc::new(MemoryStore::new());
    save(&[("a", counting(3, 5, 1e3)), ("long", counting(600, 1000, 0.5))], &place);
    let converter = Converter::new().jobs(1).fsync(false);
    let converter = if is_native { converter.to(NativeFormat::new()) } else { converter.to(DcpFormat::new()) };
    converter.convert(place, dir.path()).expect("converts");
    dir
}

/// Conversions that keep chunks, cut them along rows, and cut them along columns.
fn converters<'a>() -> Vec<Converter<'a>> {
    let over = |ranks: u32, dim| {
        let mesh = DeviceMesh::new([ranks]).expect("a mesh");
        Converter::new().reshard(mesh, [("model.*", vec![Placement::Shard(dim)])]).expect("a pattern")
    };
    vec![Converter::new(), over(3, 0), over(4, 1), over(2, 1).memory(0)]
}

/// Wherever a bit is flipped, also where chunks are cut and their one checksum could not be compared otherwise.
#[test]
fn damage_is_found_and_not_given_a_new_checksum() {
    for is_native in [true, false] {
        let dir = on_disk(is_native);
        let data = dir.path().join("__0_0.distcp");
        let sound = fs::read(&data).expect("reads");
        // Near the end of the long tensor, its middle, and its beginning.
        let long = &0.5f32.to_le_bytes()[..];
        let start = sound.windows(8).position(|bytes| bytes[..4] == *long && bytes[4..] == 1.5f32.to_le_bytes());
        let start = start.expect("the tensor");
        for at in [start + 3, start + 1_200_001, start + 2_399_999] {
            let mut damaged = sound.clone();
            damaged[at] ^= 16;
            fs::write(&data, &damaged).expect("written");
            for converter in converters() {
                let place: Place = Arc::new(MemoryStore::new());
                match converter.convert(dir.path(), Arc::clone(&place)) {
                    Err(Error::Source { source: error, .. } | Error::Storage(error)) => match *error {
                        StorageError::Damaged { fqn, path, offset, length, .. } => {
                            assert_eq!((fqn.as_str(), path.as_str()), ("model.long", "__0_0.distcp"));
                            assert!((offset..offset + length).contains(&(at as u64)), "{offset} {length} {at}");
                        }
                        other => panic!("{other:?}"),
                    },
                    other => panic!("native {is_native}, byte {at}: {other:?}"),
                }
                assert!(contents(&*place).is_empty());
            }
        }
    }
}

/// A file that becomes shorter at any moment.
#[test]
fn a_source_that_shrinks_is_an_error() {
    for is_native in [true, false] {
        let log = Faults::none();
        let dir = on_disk(is_native);
        let watch = |dir: &tempfile::TempDir, faults: &Faults| -> Place {
            Arc::new(FaultStore::new(LocalStore::open(dir.path()), faults.clone()))
        };
        let convert = |from, to: &Place| Converter::new().jobs(1).convert(from, Arc::clone(to));
        let place: Place = Arc::new(MemoryStore::new());
        convert(watch(&dir, &log), &place).expect("converts");
        let mut failed = 0;
        for k in 0..log.count() {
            let dir = on_disk(is_native);
            let data = dir.path().join("__0_0.distcp");
            let shrink = move || {
                OpenOptions::new().write(true).open(&data).and_then(|file| file.set_len(100_000)).expect("shortened");
            };
            let faults = Faults::none().at(k, Fault::before(shrink));
            let place: Place = Arc::new(MemoryStore::new());
            match convert(watch(&dir, &faults), &place) {
                Err(error) => {
                    assert!(error.is_bad_checkpoint(), "{error:?}");
                    assert!(contents(&*place).is_empty());
                    failed += 1;
                }
                // All had been read.
                Ok(_) => assert!(k + 2 > log.count(), "operation {k} of {}", log.count()),
            }
        }
        assert!(failed > 3);
    }
}
