//! Objects that only Python can make: taken out of files one by one, and put into others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dcp::crates::dcp_types::Opaque;
use dcp::{Checkpoint, DcpFormat, Error, Saver, StateDict, StorageError, TorchSaveFormat, Value};

/// Of one state.
const FILES: [&str; 5] = ["zip2", "zip4", "zip5", "legacy2", "legacy4"];

/// The objects of a file by name.
fn objects(file: &Path) -> Vec<(String, Opaque)> {
    // Some name functions that a state should not: they are carried nevertheless.
    let checkpoint = Checkpoint::salvage(file).expect("opens");
    let mut found = Vec::new();
    for (fqn, _) in checkpoint.metadata().entries() {
        let Some(name) = fqn.as_str().strip_prefix("odd.") else { continue };
        if let Value::Opaque(opaque) = checkpoint.value(fqn.as_str()).unwrap_or_else(|error| panic!("{fqn}: {error}")) {
            found.push((name.to_owned(), opaque));
        }
    }
    found
}

fn python(command: &str, folder: &Path) {
    let program = std::env::var_os("DCP_TORCH_PYTHON").expect("DCP_TORCH_PYTHON names a Python with PyTorch");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/odd_objects.py");
    let output = Command::new(program).args(["-B", "-W", "ignore"]).arg(script).arg(command).arg(folder).output();
    let output = output.expect("runs");
    let printed = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", printed(&output.stdout), printed(&output.stderr));
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torch").join(name)
}

/// What is of one state is the same in files of either form.
#[test]
fn an_object_does_not_depend_on_the_file_that_it_comes_from() {
    let [zip2, zip4, zip5, legacy2, legacy4] =
        FILES.map(|name| objects(&fixture("26_objects").join(format!("{name}.pt"))));
    assert_eq!(zip2.len(), 41);
    let named = |objects: &[(String, Opaque)]| -> Vec<_> {
        objects.iter().map(|(name, opaque)| (name.clone(), opaque.globals.clone())).collect()
    };
    // NumPy has other functions for protocol 5.
    assert_eq!(zip4.len(), zip5.len());
    for (zip, legacy) in [(&zip2, &legacy2), (&zip4, &legacy4)] {
        assert_eq!(named(zip), named(legacy));
        for ((name, one), (_, other)) in zip.iter().zip(legacy) {
            // In old files storages are in the order of their addresses, and so they are in what is taken out.
            let has_several = one.bytes.windows(14).any(|at| at == b"archive/data/1");
            assert!(one == other || has_several, "{name}");
        }
    }
    let (_, shared) = zip2.iter().find(|(name, _)| name == "tensors").expect("there");
    assert_eq!(shared.globals.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["odd_objects.Plain"]);
    // Twelve floats and two halves of floats, not the file with all the others.
    assert!(shared.bytes.len() < 3000);
}

/// Objects in what Lightning has put beside a checkpoint stand by themselves too, and go with it into another one.
#[test]
fn objects_beside_a_checkpoint_are_saved_with_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let at = dir.path().join("step");
    fs::create_dir(&at).expect("a folder");
    for entry in fs::read_dir(fixture("05_fsdp2_w2")).expect("fixture") {
        let entry = entry.expect("entry");
        fs::copy(entry.path(), at.join(entry.file_name())).expect("copies");
    }
    fs::copy(fixture("26_objects/legacy2.pt"), at.join("meta.pt")).expect("copies");
    let beside = objects(&at);
    assert!(beside == objects(&fixture("26_objects/legacy2.pt")));
    let mut state = StateDict::new();
    for (name, opaque) in &beside {
        state.insert(&**name, Value::Opaque(opaque.clone()));
    }
    let again = dir.path().join("again");
    Saver::new().format(DcpFormat::new()).save_dict(&state, &again).expect("saves");
    let saved = Checkpoint::salvage(&again).expect("opens");
    for (name, opaque) in beside {
        assert!(saved.value(&name).expect("reads") == Value::Opaque(opaque), "{name}");
    }
}

/// What would do harm is refused unless it is to be salvaged; the others are read.
#[test]
fn harm_in_one_object_is_no_harm_in_others() {
    let checkpoint = Checkpoint::open(fixture("26_objects/zip2.pt")).expect("opens");
    let partial = checkpoint.value("odd.partial").expect_err("refused");
    let is_harmful =
        |error: &Error| matches!(error, Error::Storage(fault) if matches!(**fault, StorageError::Harmful { .. }));
    assert!(is_harmful(&partial), "{partial}");
    assert!(matches!(checkpoint.value("odd.namespace"), Ok(Value::Opaque(_))));
}

/// What this PyTorch saves in every form, each object alone, and twice in a list of a checkpoint and of one file.
#[test]
#[ignore = "needs a Python with PyTorch: DCP_TORCH_PYTHON"]
fn pytorch_loads_objects_that_were_taken_out_of_its_files() {
    let folder = tempfile::tempdir().expect("temporary directory");
    python("make", folder.path());
    for name in FILES {
        let objects = objects(&folder.path().join(format!("{name}.pt")));
        assert!(objects.len() > 35, "{name}: {}", objects.len());
        let cut = folder.path().join(format!("{name}.cut"));
        fs::create_dir(&cut).expect("a folder");
        let mut state = StateDict::new();
        for (key, opaque) in objects {
            fs::write(cut.join(format!("{key}.pt")), &opaque.bytes).expect("writes");
            let object = Value::Opaque(opaque);
            state.insert(&*key, Value::List(vec![object.clone(), 7.into(), object]));
        }
        let at = folder.path().join(format!("{name}.dcp"));
        Saver::new().format(DcpFormat::new()).save_dict(&state, &at).expect("saves");
        let one = folder.path().join(format!("{name}.one.pt"));
        Saver::new().format(TorchSaveFormat::new()).save_dict(&state, &one).expect("saves");
    }
    python("check", folder.path());
}
