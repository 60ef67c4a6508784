//! `dcpctl gc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dcp::crates::dcp_storage::{Precondition, StorePath};
use dcp::{ComposedWriter, DcpFormat, Durability, Format, LocalStore, NativeFormat, Saver, StateDict, Store};
use dcp_storage::conformance::{Fault, FaultStore, Faults, block_on};
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{Said, dcpctl, inspect, small};

fn gc(place: &Path, options: &[&str]) -> Said {
    dcpctl([Path::new("gc"), place].into_iter().chain(options.iter().map(Path::new)))
}

fn lines(said: &Said) -> Vec<Value> {
    said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Lets a save into a directory die before it publishes its index.
fn crash(format: impl Format + 'static, directory: &Path, lifetime: Duration) {
    let format: Arc<dyn Format> = Arc::new(format);
    let store = || LocalStore::open(directory).durability(Durability::None);
    let save = |store: Arc<dyn Store>| {
        let writer = ComposedWriter::new(Arc::clone(&format), store).overwrite(true).claim_lifetime(lifetime);
        Saver::new().save_to(&writer, &StateDict::new().with("step", 1).with("note", "lost"))
    };
    let counted = tempfile::tempdir().expect("temporary directory");
    let faults = Faults::none();
    save(Arc::new(FaultStore::new(LocalStore::open(counted.path()), faults.clone()))).expect("saved");
    let index = format.index_path();
    let at = faults
        .log()
        .iter()
        .position(|operation| operation.name == "publish" && operation.path.as_ref() == Some(&index));
    // A checkpoint that is there is read first.
    let more = if directory.join(index.as_str()).exists() { 2 } else { 0 };
    let at = at.expect("an index is published") + more;
    save(Arc::new(FaultStore::new(store(), Faults::none().at(at, Fault::Stop)))).expect_err("stopped");
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .expect("listed")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A folder with a good checkpoint over which a save has died, and others that died.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let (dir, good) = small();
    crash(NativeFormat::new(), &good, Duration::ZERO);
    crash(NativeFormat::new(), &dir.path().join("step-2"), Duration::ZERO);
    crash(DcpFormat::new().index_per_rank(), &dir.path().join("deep/step-3"), Duration::ZERO);
    fs::write(dir.path().join("deep/step-3/notes.txt"), "mine").expect("written");
    // As two more ranks would have left them.
    for rank in [1, 2] {
        fs::write(dir.path().join(format!("deep/step-3/__{rank}.metadata")), "index").expect("written");
    }
    (dir, good)
}

#[test]
fn leftovers_are_shown_then_removed() {
    let (dir, good) = folder();
    let before = files(&good);
    let said = gc(dir.path(), &["--json"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let mut names: Vec<_> = lines(&said).iter().map(|line| line["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    let expected = [
        "deep/step-3/.dcp-claim-0",
        "deep/step-3/__0_0.distcp",
        "deep/step-3/__1.metadata",
        "deep/step-3/__2.metadata",
        "step-1/.dcp-claim-1",
        "step-1/__0_0.g1.distcp",
        "step-2/.dcp-claim-0",
        "step-2/__0_0.distcp",
    ];
    assert_eq!(names, expected);
    assert!(lines(&said).iter().all(|line| line["state"] == "to-remove"), "{said:?}");
    assert_eq!(files(&good), before, "nothing was removed");
    let text = gc(dir.path(), &[]);
    assert!(text.out.contains("nothing was removed: give --yes for that"), "{text:?}");

    let said = gc(dir.path(), &["--yes", "--json"]);
    assert_eq!((said.code, lines(&said).len()), (Some(0), expected.len()), "{said:?}");
    assert!(lines(&said).iter().all(|line| line["state"] == "removed"), "{said:?}");
    assert_eq!(files(&dir.path().join("deep/step-3")), ["notes.txt"]);
    assert_eq!(files(&dir.path().join("step-2")), [""; 0]);
    assert_eq!(inspect(&good, &["--digest"]).code, Some(0));
    assert_eq!(files(&good).len(), before.len() - 2);
    let said = gc(dir.path(), &["--yes"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "removed: 0 objects, 0 B; kept: 0 objects, 0 B\n"));
}

#[test]
fn what_may_be_alive_stays() {
    let (dir, good) = small();
    crash(NativeFormat::new(), &good, Duration::from_secs(3600));
    let before = files(&good);
    let said = gc(dir.path(), &["--yes", "--json"]);
    assert_eq!((said.code, lines(&said)[0]["state"].clone()), (Some(0), json!("kept")), "{said:?}");
    assert!(lines(&said).iter().all(|line| line["until"].is_u64()));
    assert!(gc(dir.path(), &["--yes"]).out.contains("kept: its save may be alive for "));
    assert_eq!(files(&good), before);
    let said = gc(dir.path(), &["--yes", "--no-save-running"]);
    assert_eq!((said.code, files(&good).len()), (Some(0), before.len() - 2), "{said:?}");
}

/// An upload of a single file has no claim that tells how old it is.
#[test]
fn uploads_of_single_files_go_on_the_word_of_the_user() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = LocalStore::open(dir.path());
    for name in ["model.pt", "video.mp4"] {
        let mut upload = block_on(store.create(&StorePath::parse(name).expect("path"), None)).expect("begun");
        block_on(upload.write(b"half")).expect("written");
        // As if the process had been killed.
        std::mem::forget(upload);
    }
    let said = gc(dir.path(), &["--yes", "--json"]);
    assert_eq!((lines(&said).len(), lines(&said)[0]["state"].clone()), (1, json!("kept")), "{said:?}");
    let said = gc(dir.path(), &["--yes", "--no-save-running", "--json"]);
    assert_eq!(lines(&said)[0]["name"], "model.pt");
    let left = block_on(store.unfinished()).expect("listed");
    assert_eq!(left.iter().map(StorePath::as_str).collect::<Vec<_>>(), ["video.mp4"]);
}

#[test]
fn a_directory_that_is_not_understood_is_left_alone() {
    let (dir, good) = folder();
    let store = LocalStore::open(&good);
    let index = StorePath::parse("index.dcp").expect("path");
    block_on(store.publish(&index, b"not an index", Precondition::None)).expect("published");
    let before = files(&good);
    let said = gc(dir.path(), &["--yes"]);
    assert_eq!((said.code, said.err.lines().count()), (Some(2), 1), "{said:?}");
    assert!(said.err.starts_with("dcpctl: step-1: index.dcp is corrupt"), "{said:?}");
    assert_eq!(files(&good), before);
    assert_eq!(files(&dir.path().join("step-2")), [""; 0], "the others are looked into");
    let said = gc(&dir.path().join("missing"), &[]);
    assert_eq!((said.code, said.err.lines().count()), (Some(2), 1), "{said:?}");
}
