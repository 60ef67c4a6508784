//! What can be chosen.

use std::sync::Arc;

use dcp::{
    Checkpoint, Converter, DType, DcpFormat, DeviceMesh, Error, MemoryStore, Opener, Placement, PlanError,
    StorageError, TorchSaveFormat, TypesError,
};

use crate::support::{Place, assert_same, contents, counting, save, small};

fn names(place: &Place) -> Vec<String> {
    let checkpoint = Checkpoint::open(Arc::clone(place)).expect("opens");
    checkpoint.metadata().entries().map(|(fqn, _)| fqn.to_string()).collect()
}

fn new() -> Place {
    Arc::new(MemoryStore::new())
}

#[test]
fn entries_are_chosen_and_renamed() {
    let to = new();
    let converter = Converter::new().include("model.*").expect("a pattern").exclude("*.b").expect("a pattern");
    let report = converter.rename("model", "net").convert(small(), Arc::clone(&to)).expect("converts");
    assert_eq!((report.tensors, report.values, report.format), (2, 0, "native"));
    assert_eq!(names(&to), ["net.a", "net.long"]);
    let nothing = Converter::new().include("nothing.*").expect("a pattern").convert(small(), new());
    assert!(matches!(nothing, Err(Error::NothingChosen { .. })), "{nothing:?}");
}

#[test]
fn floating_point_tensors_are_converted() {
    let (from, to) = (small(), new());
    for memory in [0, Converter::MEMORY] {
        let converter = Converter::new().dtype(DType::BFloat16).memory(memory).overwrite(true);
        let report = converter.convert(Arc::clone(&from), Arc::clone(&to)).expect("converts");
        let bytes = 2 * (30 * 4 + 3 * 5 + 600 * 1000);
        assert_eq!((report.bytes, report.written.data > bytes), (bytes, true));
        let (from, to) = (Checkpoint::open(Arc::clone(&from)).expect("opens"), Checkpoint::open(Arc::clone(&to)));
        let (wide, narrow) = (from.tensor("model.long").expect("there"), to.expect("opens").tensor("model.long"));
        let wide = wide.to_array::<f32>().expect("floats");
        // The upper half, rounded to the nearest, ties to even.
        let expected = wide.iter().flat_map(|element| {
            let bits = element.to_bits();
            (((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16).to_le_bytes()
        });
        assert!(narrow.expect("there").bytes().iter().copied().eq(expected));
    }
    let outcome = Converter::new().dtype(DType::Int8).convert(from, new());
    assert!(matches!(outcome, Err(Error::NotFloatingPoint { dtype: DType::Int8 })), "{outcome:?}");
}

#[test]
fn a_dtype_to_which_there_is_no_conversion_is_named() {
    let to = new();
    let outcome = Converter::new().dtype(DType::Float8E8M0Fnu).convert(small(), Arc::clone(&to));
    match outcome {
        Err(Error::Plan(error)) => match *error {
            PlanError::Unsupported { fqn, from: DType::Float32, to: DType::Float8E8M0Fnu } => {
                assert_eq!(fqn.as_str(), "model.a");
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    assert!(contents(&*to).is_empty());
}

#[test]
fn a_dry_run_writes_nothing() {
    let to = new();
    let dry = Converter::new().dry_run(true).convert(small(), Arc::clone(&to)).expect("would convert");
    assert!(contents(&*to).is_empty());
    let done = Converter::new().convert(small(), to).expect("converts");
    assert_eq!((dry.tensors, dry.values, dry.bytes), (done.tensors, done.values, done.bytes));
    assert_eq!((dry.written.files, done.written.files), (0, 3));
}

#[test]
fn what_is_there_is_replaced_only_when_told() {
    let (from, to) = (small(), new());
    save(&[("older", counting(2, 2, 5.0))], &to);
    let before = contents(&*to);
    for dry_run in [true, false] {
        let refused = Converter::new().dry_run(dry_run).convert(Arc::clone(&from), Arc::clone(&to));
        let exists = |error: &StorageError| matches!(error, StorageError::Exists { found, .. } if found == "index.dcp");
        assert!(matches!(&refused, Err(Error::Storage(error)) if exists(error)), "{refused:?}");
        // Nor another format beside.
        let beside = Converter::new().to(DcpFormat::new()).dry_run(dry_run).overwrite(true);
        let refused = beside.convert(Arc::clone(&from), Arc::clone(&to));
        assert!(matches!(&refused, Err(Error::Storage(error)) if exists(error)), "{refused:?}");
        assert_eq!(contents(&*to), before);
    }
    Converter::new().overwrite(true).convert(Arc::clone(&from), Arc::clone(&to)).expect("converts");
    assert_same(&from, &to);
    // Of the older one nothing is left.
    assert!(contents(&*to).keys().all(|name| name == "index.dcp" || name.contains(".g1.") || name.contains("claim-1")));
}

/// A file is looked at before anything is read for it: whoever allows a checkpoint to be replaced has not meant just any file.
#[test]
fn a_file_is_replaced_only_by_one_of_its_kind() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("model.pt");
    let convert = |dry_run| {
        let one_file = Converter::new().to(TorchSaveFormat::new()).fsync(false);
        one_file.overwrite(true).dry_run(dry_run).convert(small(), &file)
    };
    std::fs::write(&file, b"something else").expect("written");
    for dry_run in [true, false] {
        let refused = convert(dry_run);
        let is_none = |error: &StorageError| matches!(error, StorageError::NoCheckpoint { .. });
        assert!(matches!(&refused, Err(Error::Storage(error)) if is_none(error)), "{refused:?}");
    }
    assert_eq!(std::fs::read(&file).expect("reads"), b"something else");
    std::fs::remove_file(&file).expect("removed");
    for dry_run in [false, true, false] {
        convert(dry_run).expect("it is new, or one of a checkpoint");
    }
}

#[test]
fn source_and_destination_are_two_places() {
    let from = small();
    let same = Converter::new().overwrite(true).convert(Arc::clone(&from), Arc::clone(&from));
    assert!(matches!(same, Err(Error::SamePlace { .. })), "{same:?}");
    let dir = tempfile::tempdir().expect("temporary directory");
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    Converter::new().fsync(false).convert(from, &real).expect("converts");
    std::os::unix::fs::symlink(&real, &link).expect("linked");
    let same = Converter::new().overwrite(true).convert(&real, &link);
    assert!(matches!(same, Err(Error::SamePlace { .. })), "{same:?}");
}

#[test]
fn directories_that_were_made_for_nothing_are_removed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (from, deep) = (dir.path().join("from"), dir.path().join("a/b/c"));
    Converter::new().fsync(false).convert(small(), &from).expect("converts");
    let data = from.join("__0_0.distcp");
    let mut bytes = std::fs::read(&data).expect("reads");
    bytes[5] ^= 1;
    std::fs::write(&data, bytes).expect("written");
    std::fs::create_dir(dir.path().join("a")).expect("made");
    let failed = Converter::new().convert(&from, &deep);
    assert!(matches!(&failed, Err(error) if error.is_bad_checkpoint()), "{failed:?}");
    assert!(dir.path().join("a").is_dir() && !dir.path().join("a/b").exists());
}

#[test]
fn a_dimension_that_is_not_there_names_the_tensor() {
    let mesh = DeviceMesh::new([2]).expect("a mesh");
    let converter = Converter::new().reshard(mesh, [("*.b", vec![Placement::Shard(2)])]).expect("a pattern");
    match converter.convert(small(), new()) {
        Err(Error::Plan(error)) => match *error {
            PlanError::Types { fqn: Some(fqn), source } => {
                assert_eq!(fqn.as_str(), "model.b");
                assert!(matches!(*source, TypesError::Placement { placement: Placement::Shard(2), .. }), "{source:?}");
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn formats_have_names() {
    let to = new();
    let report = Converter::new().to_named("dcp").convert(small(), to).expect("converts");
    assert_eq!(report.format, "dcp");
    let unknown = Converter::new().to_named("zarr").convert(small(), new());
    assert!(matches!(&unknown, Err(Error::UnknownFormat { name, .. }) if name == "zarr"), "{unknown:?}");
    assert_eq!(Opener::new().format_by_ending("a/model.PT".as_ref()), Some("torch-save"));
    assert_eq!(Opener::new().format_by_ending("a/model".as_ref()), None);
}
