//! The exit status: 0 fine, 1 the checkpoint is bad, 2 it could not be done.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Said, dcpctl, flip, inspect, small};

/// Says in one line what is wrong.
fn fails(said: &Said, code: i32, with: &str) {
    assert_eq!(said.code, Some(code), "{said:?}");
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    assert!(said.err.starts_with("dcpctl: ") && said.err.contains(with), "{said:?}");
}

#[test]
fn a_flipped_bit_in_the_index_is_a_bad_checkpoint() {
    let (_dir, checkpoint) = small();
    let index = checkpoint.join("index.dcp");
    for offset in [0, 40, fs::metadata(&index).expect("index").len() as usize - 1] {
        flip(&index, offset);
        fails(&inspect(&checkpoint, &["--json"]), 1, "index.dcp");
        flip(&index, offset);
    }
    assert_eq!(inspect(&checkpoint, &[]).code, Some(0));
}

#[test]
fn a_flipped_bit_in_the_data_is_found_by_its_digest() {
    let (_dir, checkpoint) = small();
    flip(&checkpoint.join("__2_0.distcp"), 10);
    assert_eq!(inspect(&checkpoint, &[]).code, Some(0));
    for options in [&["--digest"][..], &["--digest", "--json"]] {
        fails(&inspect(&checkpoint, options), 1, "model.weight is damaged: bytes ");
    }
}

#[test]
fn files_that_are_cut_short_or_missing_are_a_bad_checkpoint() {
    let (_dir, checkpoint) = small();
    let data = checkpoint.join("__1_0.distcp");
    let bytes = fs::read(&data).expect("read");
    for length in [0, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&data, &bytes[..length]).expect("written");
        for options in [&[][..], &["--json"]] {
            fails(&inspect(&checkpoint, options), 1, "__1_0.distcp");
        }
    }
    fs::remove_file(&data).expect("removed");
    for options in [&[][..], &["--json"]] {
        fails(&inspect(&checkpoint, options), 1, "__1_0.distcp does not exist");
    }
    let index = checkpoint.join("index.dcp");
    fs::write(&index, b"").expect("written");
    fails(&inspect(&checkpoint, &[]), 1, "index.dcp is corrupt");
}

#[test]
fn where_no_checkpoint_is_nothing_can_be_done() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, b"text").expect("written");
    fails(&inspect(Path::new("/nowhere/at/all"), &[]), 2, "/nowhere/at/all");
    fails(&inspect(dir.path(), &[]), 2, "there is no checkpoint");
    fails(&inspect(&file, &[]), 2, "file");
    fails(&inspect(Path::new("gopher://host/path"), &[]), 2, "gopher://host/path");
}

#[test]
fn bad_usage_cannot_be_done() {
    for args in [&[][..], &["inspect"], &["inspect", "a", "b"], &["inspect", "a", "--yaml"], &["explain"]] {
        let said = dcpctl(args);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{args:?}");
        assert!(said.err.contains("Usage: dcpctl"), "{said:?}");
    }
    let help = dcpctl(["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    assert!(help.out.contains(
        "Exit status: 0 fine; 1 the checkpoint is bad, or two differ; 2 it could not be done; 130 interrupted."
    ));
}

#[test]
fn a_reader_may_go_away() {
    let (_dir, checkpoint) = small();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcpctl"));
    command.arg("inspect").arg(&checkpoint).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
