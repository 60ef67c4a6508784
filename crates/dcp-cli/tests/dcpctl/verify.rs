//! `dcpctl verify`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Said, dcpctl, flip, inspect, small};

fn verify(checkpoint: &Path, options: &[&str]) -> Said {
    let args = [OsStr::new("verify"), checkpoint.as_os_str()].into_iter();
    dcpctl(args.chain(options.iter().map(OsStr::new)))
}

fn report(said: &Said) -> Value {
    serde_json::from_str(&said.out).expect("one line of JSON")
}

#[test]
fn a_sound_checkpoint_is_good() {
    let (_dir, checkpoint) = small();
    for options in [&["--json"][..], &["--json", "--cold"], &["--json", "--quick"]] {
        let said = verify(&checkpoint, options);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        assert_eq!(said.out.lines().count(), 1);
        let report = report(&said);
        assert_eq!(report["location"], json!(checkpoint));
        for (field, value) in
            [("status", json!("good")), ("format", json!("native")), ("tensors", json!(3)), ("values", json!(8))]
        {
            assert_eq!(report[field], value, "{field}");
        }
        assert_eq!((&report["chunks"], &report["files"]), (&json!(5), &json!(4)));
        let is_quick = options.contains(&"--quick");
        assert_eq!((&report["quick"], &report["cold"]), (&json!(is_quick), &json!(options.contains(&"--cold"))));
        assert_eq!(report["checked"], if is_quick { json!(0) } else { report["bytes"].clone() });
        assert_eq!((&report["problems"], &report["unlisted"]), (&json!([]), &json!(0)));
        let opaque = if is_quick { json!([]) } else { json!([{"fqn": "opaque", "globals": ["os.system"]}]) };
        assert_eq!(report["opaque"], opaque);
        assert!(report["elapsed_s"].as_f64().expect("seconds") > 0.0);
    }
    let said = verify(&checkpoint, &[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "opaque: would run code when PyTorch unpickles it: os.system");
    assert_eq!(lines[1], format!("{}: good", checkpoint.display()));
    assert!(
        lines[2].starts_with(
            "  3 tensors of 5 chunks and 8 values in 4 files; 4.3 KiB, 100.0 % of them checked; 0 problems; "
        ),
        "{said:?}"
    );
}

#[test]
fn everything_that_is_bad_is_named() {
    let (_dir, checkpoint) = small();
    flip(&checkpoint.join("__0_0.distcp"), 10);
    flip(&checkpoint.join("__2_0.distcp"), 10);
    fs::remove_file(checkpoint.join("__3_0.distcp")).expect("removed");
    let said = verify(&checkpoint, &["--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let report = report(&said);
    assert_eq!(report["status"], "bad");
    let problems = report["problems"].as_array().expect("problems");
    let has = |file: &str, kind: &str| {
        problems
            .iter()
            .any(|problem| problem["fqn"] == "model.weight" && problem["file"] == file && problem["kind"] == kind)
    };
    assert!(has("__0_0.distcp", "damaged") && has("__2_0.distcp", "damaged") && has("__3_0.distcp", "not-found"));
    let problem = problems.iter().find(|problem| problem["file"] == "__2_0.distcp").expect("named");
    assert_eq!((&problem["offsets"], &problem["sizes"]), (&json!([19, 0]), &json!([18, 15])));
    assert_eq!(problem["offset"], 0);
    assert_eq!(said.err.lines().count(), 1);
    assert!(said.err.contains("problems in") && said.err.contains("the first: model.weight"), "{said:?}");
    let text = verify(&checkpoint, &[]);
    assert_eq!(text.code, Some(1));
    let told = |line: &str| line.starts_with("model.weight ") && line.contains(" in __2_0.distcp at byte 0: ");
    assert!(text.out.lines().any(told), "{text:?}");
    assert!(text.out.contains(&format!("{}: BAD\n", checkpoint.display())), "{text:?}");
    assert_eq!(verify(&checkpoint, &["--quick"]).code, Some(1));
}

#[test]
fn what_is_no_file_is_an_error_and_does_not_hang() {
    let (dir, checkpoint) = small();
    let data = checkpoint.join("__1_0.distcp");
    let outside = dir.path().join("outside");
    fs::rename(&data, &outside).expect("moved");
    symlink(&outside, &data).expect("linked");
    let not_a_file = |said: &Said| {
        assert_eq!(said.code, Some(1), "{said:?}");
        let problems = report(said)["problems"].clone();
        assert_eq!(problems[0]["kind"], "not-a-file", "{said:?}");
    };
    not_a_file(&verify(&checkpoint, &["--json"]));
    fs::remove_file(&data).expect("removed");
    assert!(Command::new("mkfifo").arg(&data).status().expect("runs").success());
    not_a_file(&verify(&checkpoint, &["--json"]));
    assert_eq!(inspect(&checkpoint, &["--digest"]).code, Some(1));
}

#[test]
fn a_folder_is_verified_one_after_the_other() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let (_small, checkpoint) = small();
    let place = |name: &str| folder.path().join(name);
    for step in [10, 9, 100] {
        copy(&checkpoint, &place(&format!("step-{step}")));
    }
    fs::create_dir(place("logs")).expect("made");
    fs::write(place("notes.txt"), "text").expect("written");
    let said = verify(folder.path(), &["--json"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let lines = |said: &Said| -> Vec<Value> {
        said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let names: Vec<Value> = lines(&said).iter().map(|line| line["location"].clone()).collect();
    assert_eq!(names, [9, 10, 100].map(|step| json!(place(&format!("step-{step}")))));

    flip(&place("step-10").join("__2_0.distcp"), 10);
    let said = verify(folder.path(), &["--json"]);
    assert_eq!(said.code, Some(1));
    let status: Vec<Value> = lines(&said).iter().map(|line| line["status"].clone()).collect();
    assert_eq!(status, ["good", "bad", "good"]);
    assert!(said.err.starts_with("dcpctl: 1 of 3 checkpoints bad; 1 problem in "), "{said:?}");
    assert!(verify(folder.path(), &[]).out.contains("step-10: BAD"));
}

#[test]
fn where_nothing_is_nothing_can_be_said() {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::create_dir(dir.path().join("empty")).expect("made");
    for (place, word) in [
        (dir.path(), "there is no checkpoint"),
        (Path::new("/nowhere/at/all"), "/nowhere/at/all"),
        (Path::new("gopher://host/path"), "gopher"),
    ] {
        let said = verify(place, &["--json"]);
        assert_eq!((said.code, said.err.lines().count()), (Some(2), 1), "{said:?}");
        assert!(said.err.contains(word), "{said:?}");
        assert_eq!(report(&said)["status"], "unknown");
    }
}

#[test]
fn the_help_says_what_json_holds() {
    let help = dcpctl(["verify", "--help"]);
    assert_eq!(help.code, Some(0));
    for word in ["share_checked", "step-9 before", "Exit status: 0 good; 1 "] {
        assert!(help.out.contains(word), "{word}: {}", help.out);
    }
}

fn hostile() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/torch-hostile")
}

/// Every hostile case is refused as its note says, and nothing of it runs.
#[test]
fn hostile_checkpoints_are_bad() {
    let canaries = || fs::read_dir("/tmp").expect("listed").flatten().filter(is_canary).count();
    let before = canaries();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(hostile()).expect("fixtures") {
        let mut place = entry.expect("entry").path();
        let Ok(note) = fs::read(place.join("NOTE.json")) else { continue };
        let note: Value = serde_json::from_slice(&note).expect("JSON");
        if place.join("model.pt").exists() {
            place.push("model.pt");
        }
        let allowed: &[i32] = if note["must"] == "either" { &[0, 1] } else { &[1] };
        for said in
            [verify(&place, &["--json"]), inspect(&place, &["--json", "--digest"]), inspect(&place, &["--digest"])]
        {
            let code = said.code.unwrap_or(-1);
            if !allowed.contains(&code) || said.err.lines().count() != usize::from(code != 0) {
                wrong.push(format!("{}: {:?} {}", note["name"], said.code, said.err));
            }
        }
        let salvaged = inspect(&place, &["--json", "--salvage"]);
        if !matches!(salvaged.code, Some(0 | 1)) {
            wrong.push(format!("{} salvaged: {salvaged:?}", note["name"]));
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases > 50);
    assert_eq!(canaries(), before);
}

fn is_canary(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy().to_lowercase();
    name.contains("canary") || name.contains("pwned")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    for file in fs::read_dir(from).expect("listed") {
        let file = file.expect("entry");
        fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}
