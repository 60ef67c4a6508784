//! Audits of PyTorch's checkpoints.

use std::fs;
use std::path::{Path, PathBuf};

use dcp::{Audit, Auditor, Checkpoint, Error, Region, Verdict};
use dcp_storage::{Locator, StorageError};
use dcp_types::{ReadItem, TensorEntry};
use tempfile::TempDir;

fn fixtures(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(kind)
}

fn audit(place: &Path) -> Audit {
    Auditor::new().audit(place).expect("can be looked at")
}

/// A copy of a fixture to do harm to.
fn copy(name: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    for file in fs::read_dir(fixtures("torch").join(name)).expect("fixture") {
        let file = file.expect("entry");
        if file.file_type().expect("type").is_file() {
            fs::copy(file.path(), dir.path().join(file.file_name())).expect("copied");
        }
    }
    dir
}

/// The tensors of a checkpoint that have bytes, with where the first chunk lies.
fn places(at: &Path) -> Vec<(String, PathBuf, u64, u64)> {
    let checkpoint = Checkpoint::open(at).expect("opens");
    let entries = checkpoint.metadata().entries().enumerate();
    let tensors = entries.filter_map(|(number, (fqn, entry))| Some((number, fqn, entry.as_tensor()?)));
    let place = |(number, fqn, tensor): (usize, &dcp::Fqn, &TensorEntry)| {
        let chunk = tensor.all_chunks().next()?;
        let located = checkpoint.locate(vec![ReadItem::whole_chunk(number, chunk)]).expect("located");
        let (file, offset, length) = match located.into_iter().next()? {
            Locator::Extent(extent) => (extent.file, extent.offset, extent.length),
            Locator::Stream(stream) => (stream.file, stream.offset, stream.length),
            _ => return None,
        };
        Some((fqn.to_string(), at.join(file.as_str()), offset, length))
    };
    tensors.filter_map(place).collect()
}

fn flip(path: &Path, offset: u64) {
    let mut bytes = fs::read(path).expect("read");
    bytes[offset as usize] ^= 4;
    fs::write(path, bytes).expect("written");
}

#[test]
fn every_fixture_is_sound() {
    let mut audited = 0;
    for entry in fs::read_dir(fixtures("torch")).expect("fixtures") {
        let place = entry.expect("entry").path();
        if ![".metadata", "__0.metadata"].iter().any(|index| place.join(index).exists()) {
            continue;
        }
        let found = audit(&place);
        assert_eq!((found.verdict(), &found.defects), (Verdict::Sound, &vec![]), "{}", place.display());
        assert!(found.tensors + found.values > 0, "{}", place.display());
        let share = found.share_checked();
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match name.as_str() {
            "25_nocrc" => assert_eq!(found.checked, 0, "{name}"),
            name if name.starts_with("21_safetensors") => assert!(share < 1.0, "{name}: {share}"),
            _ => assert!(share > 0.0, "{name}: {share}"),
        }
        audited += 1;
    }
    assert!(audited > 50);
}

#[test]
fn every_damaged_tensor_is_named() {
    for name in ["01_nested", "05_fsdp2_w2", "22_zstd"] {
        let dir = copy(name);
        let damaged: Vec<_> = places(dir.path()).into_iter().filter(|place| place.3 > 0).collect();
        assert!(damaged.len() > 1, "{name}");
        for (_, file, offset, length) in &damaged {
            flip(file, offset + length / 2);
        }
        let found = audit(dir.path());
        for (fqn, file, ..) in &damaged {
            let defect = found.defects.iter().find(|defect| defect.fqn.as_ref().is_some_and(|at| at.as_str() == fqn));
            let defect = defect.unwrap_or_else(|| panic!("{name}: {fqn} is not named in {:?}", found.defects));
            let file = file.file_name().map(|file| file.to_string_lossy().into_owned());
            assert_eq!(defect.file, file, "{name}: {defect:?}");
            assert!(defect.offset.is_some(), "{name}: {defect:?}");
        }
    }
}

#[test]
fn what_has_no_checksum_is_not_found_out() {
    let dir = copy("25_nocrc");
    let (_, file, offset, _) = places(dir.path()).swap_remove(0);
    flip(&file, offset);
    let found = audit(dir.path());
    assert_eq!((found.verdict(), found.checked), (Verdict::Sound, 0));
    assert_eq!(found.unchecked(), found.bytes);
}

#[test]
fn a_missing_file_does_not_hide_the_others() {
    let dir = copy("05_fsdp2_w2");
    fs::remove_file(dir.path().join("__1_0.distcp")).expect("removed");
    let (file, offset) = place_left(dir.path());
    flip(&file, offset);
    let found = audit(dir.path());
    assert!(found.defects.iter().any(|defect| defect.kind == "damaged"), "{:?}", found.defects);
    assert!(found.defects.iter().any(|defect| defect.kind == "not-found"), "{:?}", found.defects);
    assert!(found.defects.len() as u64 <= found.chunks + found.values);
}

/// Where the first chunk that is still there lies.
fn place_left(at: &Path) -> (PathBuf, u64) {
    let checkpoint = Checkpoint::open(at).expect("opens");
    for (number, (_, entry)) in checkpoint.metadata().entries().enumerate() {
        let Some(tensor) = entry.as_tensor() else { continue };
        let items = tensor.all_chunks().map(|chunk| ReadItem::whole_chunk(number, chunk)).collect();
        for located in checkpoint.locate_each(items) {
            if let Ok(Locator::Extent(extent)) = located
                && extent.length > 0
            {
                return (at.join(extent.file.as_str()), extent.offset);
            }
        }
    }
    panic!("nothing is left")
}

#[test]
fn what_is_sound_beside_a_hole_can_be_rescued() {
    for name in ["h62_geo_hole", "h77_chunks_overlap"] {
        let place = fixtures("torch-hostile").join(name);
        assert!(Checkpoint::open(&place).is_err(), "{name}");
        let checkpoint = Checkpoint::salvage(&place).expect("opens");
        assert!(!checkpoint.findings().is_empty(), "{name}");
        for (fqn, entry) in checkpoint.metadata().entries() {
            match entry.as_tensor() {
                Some(tensor) => {
                    let read = checkpoint.slice(fqn.as_str(), &Region::full(&tensor.shape)).expect("sound");
                    assert_eq!(read.bytes().len() as u64, tensor.nbytes());
                }
                None => drop(checkpoint.value(fqn.as_str()).expect("sound")),
            }
        }
        assert_eq!(audit(&place).verdict(), Verdict::Bad, "{name}");
    }
}

#[test]
fn a_transform_that_nobody_knows_is_found_out_when_something_is_wanted() {
    let place = fixtures("torch-hostile").join("h120_transform_unknown");
    let checkpoint = Checkpoint::open(&place).expect("the index says what there is");
    for error in
        [checkpoint.tensor("a").map(drop).expect_err("unknown"), checkpoint.check("a").map(drop).expect_err("unknown")]
    {
        let Error::Storage(error) = &error else { panic!("{error:?}") };
        let StorageError::Unreadable { what, .. } = &**error else { panic!("{error:?}") };
        assert!(what.contains("evil.xor/1 (of a;"), "{what}");
    }
    let found = audit(&place);
    let of_a = |defect: &&dcp::Defect| defect.fqn.as_ref().is_some_and(|fqn| fqn.as_str() == "a");
    assert_eq!(found.defects.iter().find(of_a).map(|defect| defect.kind), Some("unreadable"));
}
