//! `dcpctl ls`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Said, dcpctl, flip, small};

fn ls(place: &Path, options: &[&str]) -> Said {
    dcpctl([Path::new("ls"), place].into_iter().chain(options.iter().map(Path::new)))
}

fn lines(said: &Said) -> Vec<Value> {
    said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_checkpoint_below_a_folder_is_listed() {
    let folder = folder();
    let said = ls(folder.path(), &["--json"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let lines = lines(&said);
    let told = |field: &str| lines.iter().map(|line| line[field].clone()).collect::<Vec<_>>();
    let names = ["crashed/step-3", "model.pt", "step-9", "step-10", "step-10/deep/step-11"];
    assert_eq!(told("name"), names);
    assert_eq!(told("location"), names.map(|name| json!(folder.path().join(name))));
    assert_eq!(told("step"), [json!(3), json!(null), json!(9), json!(10), json!(11)]);
    assert_eq!(told("format"), [json!(null), json!("torch-save"), json!("native"), json!("native"), json!("native")]);
    assert_eq!(told("state"), ["unfinished", "complete", "complete", "complete", "complete"]);
    assert_eq!(lines[0]["found"], ".dcp-claim-0");
    let files = fs::read_dir(folder.path().join("step-9")).expect("listed").map(|file| file.expect("entry"));
    let sizes: Vec<u64> = files.map(|file| file.metadata().expect("there").len()).collect();
    assert_eq!((&lines[2]["bytes"], &lines[2]["objects"]), (&json!(sizes.iter().sum::<u64>()), &json!(sizes.len())));

    let text = ls(folder.path(), &[]);
    let rows: Vec<Vec<&str>> = text.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["step", "format", "bytes", "state", "checkpoint"]);
    assert_eq!((rows[3][0], rows[3][1], rows[3][4], rows[3][5]), ("9", "native", "complete", "step-9"));
}

#[test]
fn a_bad_one_does_not_stop_the_list() {
    let folder = folder();
    flip(&folder.path().join("step-9/index.dcp"), 40);
    let said = ls(folder.path(), &["--json"]);
    assert_eq!((said.code, said.err.lines().count()), (Some(1), 1), "{said:?}");
    assert!(said.err.starts_with("dcpctl: 1 of 5 checkpoints cannot be read; "), "{said:?}");
    let lines = lines(&said);
    assert_eq!((lines.len(), &lines[2]["state"], &lines[3]["state"]), (5, &json!("unreadable"), &json!("complete")));
    assert!(lines[2]["error"].as_str().is_some_and(|error| error.contains("index.dcp")));
    assert!(ls(folder.path(), &[]).out.contains("UNREADABLE  step-9"));
}

#[test]
fn a_checkpoint_itself_is_listed_and_nothing_is_nothing() {
    let (dir, checkpoint) = small();
    let said = ls(&checkpoint, &["--json"]);
    assert_eq!((said.code, lines(&said)[0]["name"].clone()), (Some(0), json!("")), "{said:?}");
    fs::create_dir(dir.path().join("empty")).expect("made");
    let said = ls(&dir.path().join("empty"), &[]);
    assert_eq!((said.code, said.out.starts_with("no checkpoints below ")), (Some(0), true), "{said:?}");
    let said = ls(&dir.path().join("missing"), &[]);
    assert_eq!((said.code, said.err.lines().count()), (Some(2), 1), "{said:?}");
}

/// A folder with good checkpoints, one that came to no end, and other things.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary directory");
    let (_small, checkpoint) = small();
    let place = |name: &str| folder.path().join(name);
    for name in ["step-10", "step-9", "step-10/deep/step-11"] {
        copy(&checkpoint, &place(name));
    }
    copy(&checkpoint, &place("crashed/step-3"));
    fs::remove_file(place("crashed/step-3/index.dcp")).expect("removed");
    fs::create_dir(place("logs")).expect("made");
    fs::write(place("logs/loss.txt"), "text").expect("written");
    // An archive, as far as its first bytes tell, and something else.
    fs::write(place("model.pt"), b"PK\x03\x04").expect("written");
    fs::write(place("logs/events.bin"), b"text").expect("written");
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for file in fs::read_dir(from).expect("listed") {
        let file = file.expect("entry");
        fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}
