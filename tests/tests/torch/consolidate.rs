//! What Lightning has saved in several files becomes the one file that Lightning's own `consolidate` makes of it
//! (`ckpt.consolidated`).

use std::path::{Path, PathBuf};

use dcp::{Checkpoint, Converter, DcpFormat, Error, LightningForm, NativeFormat};
use serde_json::Value;

use crate::convert::content;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torch").join(name)
}

const CHECKPOINTS: [(&str, LightningForm); 3] = [
    ("16_fabric_fsdp_w2", LightningForm::Fabric),
    ("16_fabric_mp_w2", LightningForm::Fabric),
    ("16_trainer_fsdp_w2", LightningForm::Trainer),
];

/// By name: other formats have another order.
fn sorted(mut content: Value) -> Value {
    let entries = content.as_array_mut().expect("entries");
    entries.sort_by_key(|entry| entry["fqn"].as_str().expect("a name").to_owned());
    content
}

#[test]
fn it_is_the_file_that_lightning_makes() {
    for (name, form) in CHECKPOINTS {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (from, expected) = (fixture(name).join("ckpt"), content(&fixture(name).join("ckpt.consolidated")));
        let (to, forced) = (dir.path().join("ckpt.consolidated"), dir.path().join("forced"));
        let report = Converter::new().consolidate(None).fsync(false).convert(&from, &to).expect("consolidates");
        assert_eq!((report.form, report.format), (Some(form), "torch-save"), "{name}");
        assert_eq!(content(&to), expected, "{name}");
        Converter::new().consolidate(Some(form)).fsync(false).convert(&from, &forced).expect("consolidates");
        assert!(std::fs::read(&forced).expect("a file") == std::fs::read(&to).expect("a file"), "{name}");
    }
}

#[test]
fn the_format_of_the_source_does_not_matter() {
    for (name, form) in CHECKPOINTS {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (from, expected) = (fixture(name).join("ckpt"), content(&fixture(name).join("ckpt.consolidated")));
        let [native, lightning] = ["native", "lightning"].map(|format| dir.path().join(format));
        Converter::new().to(NativeFormat::new()).fsync(false).convert(&from, &native).expect("converts");
        Converter::new().to(DcpFormat::new().lightning()).fsync(false).convert(&native, &lightning).expect("converts");
        assert!(lightning.join("meta.pt").exists());
        for place in [native, lightning] {
            let to = place.with_extension("consolidated");
            let report = Converter::new().consolidate(None).fsync(false).convert(&place, &to).expect("consolidates");
            assert_eq!(report.form, Some(form), "{name}");
            assert!(sorted(content(&to)) == sorted(expected.clone()), "{name}");
        }
    }
}

#[test]
fn any_state_can_be_kept_as_it_is() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (from, to) = (fixture("16_trainer_fsdp_w2/ckpt"), dir.path().join("kept"));
    let converter = Converter::new().consolidate(Some(LightningForm::Fabric)).fsync(false);
    assert_eq!(converter.convert(&from, &to).expect("consolidates").form, Some(LightningForm::Fabric));
    assert!(sorted(content(&to)) == sorted(content(&from)));
}

#[test]
fn what_has_no_model_is_not_for_the_trainer() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (from, to) = (fixture("16_fabric_fsdp_w2/ckpt"), dir.path().join("none"));
    let converter = Converter::new().consolidate(Some(LightningForm::Trainer)).exclude("model.*").expect("a pattern");
    match converter.convert(&from, &to) {
        Err(Error::NotOfTrainer { location, .. }) => {
            assert_eq!(location, Checkpoint::open(&from).expect("opens").location());
        }
        other => panic!("{other:?}"),
    }
    assert!(!to.exists());
}
