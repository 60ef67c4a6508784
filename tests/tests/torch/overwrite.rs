//! A directory holds one checkpoint of one format.

use std::path::Path;
use std::sync::Arc;

use dcp::{Checkpoint, DcpFormat, Error, MemoryStore, NativeFormat, Saver, StateDict, StorageError};
use dcp_tests::{Place, contents};

use crate::expected::one;

fn saver<'a>() -> Saver<'a> {
    Saver::new().format(DcpFormat::new()).overwrite(true).fsync(false)
}

fn step(of: i64) -> StateDict<'static> {
    StateDict::new().with("step", of)
}

/// A copy of a checkpoint that PyTorch has written.
fn copy(name: &str) -> tempfile::TempDir {
    let (from, to) = (one(name).path, tempfile::tempdir().expect("temporary directory"));
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, to.path().join(path.file_name().expect("a name"))).expect("copies");
    }
    to
}

fn names(at: &Path) -> Vec<String> {
    let listed = std::fs::read_dir(at).expect("a folder");
    let mut names: Vec<_> =
        listed.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.retain(|name| !name.ends_with(".json"));
    names.sort();
    names
}

#[test]
fn each_save_replaces_the_one_before() {
    let store = MemoryStore::new();
    for round in 0..4 {
        saver().save_dict(&step(round), store.clone()).expect("saves");
        assert_eq!(Checkpoint::open(store.clone()).and_then(|found| found.value("step")).expect("reads"), round.into());
        let names: Vec<String> = contents(&(Arc::new(store.clone()) as Place)).into_keys().collect();
        let data = if round == 0 { "__0_0.distcp".to_owned() } else { format!("__0_0.g{round}.distcp") };
        assert_eq!(names, [&format!(".dcp-claim-{round}"), ".metadata", &data]);
    }
}

/// Nothing is in the index by which to tell the save.
#[test]
fn empty_states_are_told_apart() {
    let store = MemoryStore::new();
    for round in 0..3 {
        saver().save_dict(&StateDict::new(), store.clone()).expect("saves");
        let names: Vec<String> = contents(&(Arc::new(store.clone()) as Place)).into_keys().collect();
        assert_eq!(names, [&format!(".dcp-claim-{round}"), ".metadata"]);
        assert!(Checkpoint::open(store.clone()).expect("opens").metadata().is_empty());
    }
}

#[test]
fn what_pytorch_has_saved_is_replaced() {
    let at = copy("05_fsdp2_w2");
    assert!(matches!(
        Saver::new().format(DcpFormat::new()).save_dict(&step(1), at.path()),
        Err(Error::Storage(error)) if matches!(*error, StorageError::Exists { .. })
    ));
    saver().save_dict(&step(1), at.path()).expect("saves");
    assert_eq!(names(at.path()), [".dcp-claim-1", ".metadata", "__0_0.g1.distcp"]);
    assert_eq!(Checkpoint::open(at.path()).and_then(|found| found.value("step")).expect("reads"), 1.into());
}

/// What is left of it would be taken for a part of the new one.
#[test]
fn what_lies_in_more_than_one_index_is_not_replaced() {
    for name in ["13_nocoll_w2", "16_fabric_fsdp_w2/ckpt"] {
        let at = copy(name);
        let before = names(at.path());
        assert!(matches!(
            saver().save_dict(&step(1), at.path()),
            Err(Error::Storage(error)) if matches!(*error, StorageError::Exists { .. })
        ));
        assert_eq!(names(at.path()), before);
    }
}

#[test]
fn another_format_is_not_replaced() {
    let store = MemoryStore::new();
    let refused = |saver: Saver<'_>| {
        let outcome = saver.overwrite(true).save_dict(&step(2), store.clone());
        assert!(matches!(outcome, Err(Error::Storage(error)) if matches!(*error, StorageError::Exists { .. })));
    };
    saver().save_dict(&step(1), store.clone()).expect("saves");
    refused(Saver::new().format(NativeFormat::new()));
    let other = MemoryStore::new();
    Saver::new().save_dict(&step(1), other.clone()).expect("saves");
    let outcome = saver().save_dict(&step(2), other);
    assert!(matches!(outcome, Err(Error::Storage(error)) if matches!(*error, StorageError::Exists { .. })));
}
