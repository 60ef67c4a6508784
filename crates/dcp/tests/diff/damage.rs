//! What cannot be read is told, and hides nothing else; damage is no difference.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dcp::{
    Checkpoint, Comparer, Comparison, DcpFormat, Mismatch, NativeFormat, Outcome, Saver, Side, Store, Unreadable,
};
use dcp_storage::Locator;
use dcp_storage::conformance::{Fault, FaultStore, Faults};
use dcp_types::ReadItem;

use crate::large;
use crate::support::{self, floats, state};

fn fixtures(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(kind)
}

/// Flips a bit in the middle of each of these tensors or values.
fn damage(place: &Path, names: &[&str]) {
    let checkpoint = Checkpoint::open(place).expect("opens");
    for name in names {
        let (number, entry) = checkpoint.metadata().find(name).expect("there");
        let item = match entry.as_tensor() {
            Some(tensor) => ReadItem::whole_chunk(number, tensor.all_chunks().next().expect("a chunk")),
            None => ReadItem::value(number),
        };
        let located = checkpoint.locate(vec![item]).expect("located");
        let [Locator::Extent(extent)] = &located[..] else { panic!("{located:?}") };
        let file = place.join(extent.file.as_str());
        let mut bytes = fs::read(&file).expect("read");
        bytes[(extent.offset + extent.length / 2) as usize] ^= 4;
        fs::write(file, bytes).expect("written");
    }
}

fn unreadable(comparison: &Comparison) -> Vec<(&str, Side, &str)> {
    fn told(one: &Unreadable) -> (&str, Side, &str) {
        assert!(
            one.fqn.as_ref().is_none_or(|fqn| one.message.contains(fqn.as_str()) || one.kind != "damaged"),
            "{one:?}"
        );
        (one.fqn.as_ref().map_or("?", |fqn| fqn.as_str()), one.side, one.kind.as_str())
    }
    comparison.unreadable.iter().map(told).collect()
}

#[test]
fn what_is_damaged_hides_nothing_else() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let names = ["a", "b", "c", "d", "e"];
    let (left, right) = (dir.path().join("left"), dir.path().join("right"));
    let tensors = |number: f32| names.map(|name| floats(name, &[100], &[number; 100]));
    let (ones, mut others) = (tensors(1.0), tensors(1.0));
    others[4] = floats("e", &[100], &[2.0; 100]);
    for (format, save) in [("native", true), ("dcp", false)] {
        for (place, tensors) in [(&left, &ones), (&right, &others)] {
            let state = state(tensors).with("step", 1).with("note", "x".repeat(99));
            let saver = Saver::new();
            let saver = if save { saver.format(NativeFormat::new()) } else { saver.format(DcpFormat::new()) };
            saver.save_dict(&state, place).expect("saves");
        }
        damage(&left, &["b", "d"]);
        damage(&right, &["c", "d"]);
        if save {
            damage(&right, &["note"]);
        }
        let comparison = Comparer::new().compare(&left, &right).expect("both open");
        let mut expected =
            vec![("b", Side::Left, "damaged"), ("c", Side::Right, "damaged"), ("d", Side::Left, "damaged")];
        if save {
            expected.push(("note", Side::Right, "damaged"));
        }
        assert_eq!(unreadable(&comparison), expected, "{format}");
        let [one] = &comparison.differences[..] else { panic!("{format}: {comparison:?}") };
        assert_eq!(one.fqn.as_str(), "e");
        assert_eq!(comparison.outcome(), Outcome::Unknown);
        fs::remove_dir_all(&left).expect("removed");
        fs::remove_dir_all(&right).expect("removed");
    }
}

#[test]
fn damage_to_what_has_one_checksum_is_no_difference() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = dir.path().join("dcp");
    let bytes = large::numbers();
    large::save_at(&place.as_path().into(), DcpFormat::new(), 1, 0, &bytes);
    damage(&place, &["w"]);
    // In step with the same chunk, and with parts of it.
    for (ranks, dim) in [(1, 0), (3, 0), (2, 1)] {
        for other in
            [large::save(NativeFormat::new(), ranks, dim, &bytes), large::save(DcpFormat::new(), ranks, dim, &bytes)]
        {
            let comparison = Comparer::new().compare(other.clone(), &place).expect("both open");
            assert_eq!(unreadable(&comparison), [("w", Side::Right, "damaged")], "{ranks} {dim}");
            assert!(comparison.differences.is_empty(), "{comparison:?}");
            let comparison = Comparer::new().compare(&place, other).expect("both open");
            assert_eq!(unreadable(&comparison), [("w", Side::Left, "damaged")], "{ranks} {dim}");
        }
    }
}

#[test]
fn missing_files_are_told_of_all_that_is_in_them() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (whole, broken) = (dir.path().join("whole"), dir.path().join("broken"));
    let tensors = [floats("a", &[2], &[1.0, 2.0]), floats("b", &[], &[1.0])];
    for place in [&whole, &broken] {
        Saver::new().save_dict(&state(&tensors).with("step", 1), place).expect("saves");
    }
    fs::remove_file(broken.join("__0_0.distcp")).expect("removed");
    let comparison = Comparer::new().compare(&whole, &broken).expect("both open");
    let all = ["a", "b", "step"].map(|name| (name, Side::Right, "not-found"));
    assert_eq!(unreadable(&comparison), all);
    assert!(comparison.differences.is_empty());
}

#[test]
fn what_an_index_describes_wrongly_is_unreadable() {
    for name in ["h62_geo_hole", "h77_chunks_overlap"] {
        let place = fixtures("torch-hostile").join(name);
        let sound = Checkpoint::salvage(&place).expect("opens").metadata().len() as u64;
        let comparison = Comparer::new().compare(&place, &place).expect("opens");
        assert!(!comparison.unreadable.is_empty() && comparison.differences.is_empty(), "{comparison:?}");
        assert_eq!(comparison.unreadable.len() % 2, 0, "both sides: {comparison:?}");
        assert_eq!(comparison.tensors + comparison.values, sound, "{name}");
    }
}

#[test]
fn every_fixture_is_the_same_as_itself() {
    let mut compared = 0;
    for entry in fs::read_dir(fixtures("torch")).expect("fixtures") {
        let place = entry.expect("entry").path();
        if Checkpoint::open(&place).is_err() {
            continue;
        }
        let comparison = Comparer::new().compare(&place, &place).expect("opens");
        assert_eq!(comparison.outcome(), Outcome::Same, "{place:?}: {comparison:?}");
        assert!(comparison.tensors + comparison.values > 0);
        compared += 1;
    }
    assert!(compared > 50);
    let differ = ["01_nested", "02_dtypes"].map(|name| fixtures("torch").join(name));
    let comparison = Comparer::new().compare(&differ[0], &differ[1]).expect("both open");
    assert_eq!(comparison.outcome(), Outcome::Different);
    assert!(comparison.differences.iter().any(|one| matches!(one.mismatch, Mismatch::OnlyIn(Side::Right))));
}

/// Whatever cannot be read because of I/O is told, on the right side, and never taken for the same nor for a difference.
#[test]
fn io_errors_are_trouble() {
    let small = support::save(&[floats("a", &[2], &[1.0, 2.0]), floats("b", &[], &[1.0])]);
    let bytes = large::numbers();
    let long = large::save(DcpFormat::new(), 1, 0, &bytes);
    for (store, other) in [(&small, &small), (&long, &large::save(NativeFormat::new(), 2, 0, &bytes))] {
        let compare = |faults: Faults| {
            let store: Arc<dyn Store> = Arc::new(FaultStore::new(store.clone(), faults));
            Comparer::new().compare(store, other.clone())
        };
        let counting = Faults::none();
        assert_eq!(compare(counting.clone()).expect("both open").outcome(), Outcome::Same);
        let mut unknown = 0;
        for k in 0..counting.count() {
            match compare(Faults::none().at(k, Fault::Stop)) {
                Ok(comparison) => {
                    assert_eq!(comparison.outcome(), Outcome::Unknown, "stopped at {k}: {comparison:?}");
                    assert!(comparison.differences.is_empty(), "stopped at {k}: {comparison:?}");
                    let is_io = |one: &Unreadable| (one.side, one.kind.as_str()) == (Side::Left, "io");
                    assert!(comparison.unreadable.iter().all(is_io), "stopped at {k}: {comparison:?}");
                    unknown += 1;
                }
                Err(error) => assert!(!error.is_bad_checkpoint(), "stopped at {k}: {error}"),
            }
        }
        assert!(unknown > 0);
    }
}
