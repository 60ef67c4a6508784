//! What PyTorch has saved, converted to each format and back: nothing is lost.

use std::path::{Path, PathBuf};

use dcp::{Converter, LocalTensor, Saver, StateDict, TorchSaveFormat};
use ndarray::Array2;

/// Every file of `torch.save` among the fixtures, but for those with objects that would do harm.
fn files() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torch");
    let folders = std::fs::read_dir(fixtures).expect("fixtures").map(|entry| entry.expect("an entry").path());
    let names = folders
        .filter(|path| path.is_dir() && !path.ends_with("26_objects"))
        .flat_map(|folder| std::fs::read_dir(folder).expect("a folder"));
    let mut files: Vec<PathBuf> =
        names.map(|entry| entry.expect("an entry").path()).filter(|path| is_one(path)).collect();
    files.sort();
    files
}

fn is_one(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|ending| ending == "pt" || ending == "consolidated")
}

/// The names of all entries, with the content of tensors, and of values as `dcpctl` shows them.
pub(crate) fn content(at: &Path) -> serde_json::Value {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let at = at.to_str().expect("text");
    let status = dcp_cli::Dcpctl::new().run(["dcpctl", "inspect", "--json", "--digest", at], &mut out, &mut err);
    assert_eq!(status, dcp_cli::Status::Fine, "{at}: {}", String::from_utf8_lossy(&err));
    let mut report: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
    let mut entries = report["entries"].take();
    for entry in entries.as_array_mut().expect("entries") {
        let entry = entry.as_object_mut().expect("an object");
        if let Some(value) = entry.get_mut("value") {
            forget_memory(value);
        }
        entry.retain(|field, _| ["fqn", "dtype", "shape", "sha256", "value", "path"].contains(&field.as_str()));
    }
    entries
}

/// Tensors inside of a value may share memory; natively each has its own.
fn forget_memory(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(forget_memory),
        serde_json::Value::Object(fields) => {
            fields.retain(|field, _| field != "storage_offset" && field != "stride");
            fields.values_mut().for_each(forget_memory);
        }
        _ => {}
    }
}

#[test]
fn a_file_goes_through_every_format_and_comes_back() {
    let files = files();
    assert!(files.len() > 12, "{files:?}");
    for file in files {
        let dir = tempfile::tempdir().expect("temporary directory");
        let convert = |from: &Path, to: &str, name: &str| {
            let to_path = dir.path().join(name);
            let converted = Converter::new().to_named(to).fsync(false).convert(from, &to_path);
            converted.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            to_path
        };
        let before = content(&file);
        let native = convert(&file, "native", "native");
        assert_eq!(content(&native), before, "{}", file.display());
        let again = convert(&native, "torch-save", "again.pt");
        assert_eq!(content(&again), before, "{}", file.display());
        let alone = convert(&file, "torch-save", "alone.pt");
        assert_eq!(content(&alone), before, "{}", file.display());
    }
}

fn tensor(array: &Array2<f32>) -> LocalTensor<'_> {
    LocalTensor::whole(array.view().into_dyn()).expect("a tensor")
}

#[test]
fn tied_tensors_stay_tied() {
    let weight = Array2::from_elem((64, 64), 1.5f32);
    let copy = weight.clone();
    let state = StateDict::new().with("in", tensor(&weight)).with("out", tensor(&weight)).with("copy", tensor(&copy));
    let dir = tempfile::tempdir().expect("temporary directory");
    let (saved, again) = (dir.path().join("saved.pt"), dir.path().join("again.pt"));
    Saver::new().format(TorchSaveFormat::new()).fsync(false).save_dict(&state, &saved).expect("saves");
    Converter::new().to_named("pt").fsync(false).convert(&saved, &again).expect("converts");
    for file in [&saved, &again] {
        let size = std::fs::metadata(file).expect("a file").len();
        let stored = 64 * 64 * 4;
        assert!(size > 2 * stored && size < 3 * stored, "{size}");
        assert_eq!(content(file), content(&saved));
    }
}
