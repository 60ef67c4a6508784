//! `dcpctl convert`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dcp::Checkpoint;
use serde_json::Value;

use crate::support::{Said, dcpctl, flip, inspect, small};

fn convert(from: &Path, to: &Path, options: &[&str]) -> Said {
    let args = [OsStr::new("convert"), from.as_os_str(), to.as_os_str()].into_iter();
    dcpctl(args.chain(options.iter().map(OsStr::new)))
}

/// Says in one line what is wrong.
fn fails(said: &Said, code: i32, with: &str) {
    assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{said:?}");
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    assert!(said.err.starts_with("dcpctl: ") && said.err.contains(with), "{said:?}");
}

/// Every file of a directory.
fn files(place: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(place).expect("listed").map(|entry| entry.expect("entry").path());
    entries.map(|path| (path.clone(), fs::read(path).expect("read"))).collect()
}

/// What `inspect` says of each tensor: its name, shape, and the digest of its bytes.
fn described(place: &Path) -> Vec<[Value; 4]> {
    let said = inspect(place, &["--json", "--digest"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let entries = report["entries"].as_array().expect("entries").iter();
    let tensors = entries.filter(|entry| entry["kind"] == "tensor");
    tensors.map(|tensor| ["fqn", "dtype", "shape", "sha256"].map(|field| tensor[field].clone())).collect()
}

#[test]
fn there_and_back_everything_stays() {
    let (dir, native) = small();
    let before = files(&native);
    let (dcp, back) = (dir.path().join("dcp"), dir.path().join("back"));
    // What PyTorch cannot express stays behind.
    let options = ["--to", "dcp", "--exclude", "opaque", "--exclude", "scale"];
    let said = convert(&native, &dcp, &options);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.starts_with("wrote 3 tensors, 7 values, "), "{said:?}");
    assert!(said.out.contains(&format!(", to {} (dcp) in ", dcp.display())), "{said:?}");
    let said = convert(&dcp, &back, &["--to", "native", "--quiet", "--no-fsync"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(described(&native).len(), 3);
    assert_eq!(described(&back), described(&native));
    assert_eq!(files(&native), before);
    let [one, other] = [&native, &back].map(|place| Checkpoint::open(place).expect("opens"));
    for name in ["step", "betas", "rng", "by_number", "nothing", "tricky"] {
        assert_eq!(one.value(name).expect("there"), other.value(name).expect("there"), "{name}");
    }
}

#[test]
fn a_value_that_the_format_cannot_hold_is_named_before_anything_is_written() {
    let (dir, native) = small();
    let dcp = dir.path().join("dcp");
    fails(&convert(&native, &dcp, &["--to", "dcp"]), 2, "opaque");
    assert!(!dcp.exists());
}

#[test]
fn names_and_dtypes_are_chosen() {
    let (dir, native) = small();
    let to = dir.path().join("to");
    let options = ["--to", "native", "--include", "model.w*", "--rename", "model=net", "--dtype", "bfloat16"];
    let said = convert(&native, &to, &[&options[..], &["--dry-run"]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.out, format!("would write 1 tensor, 0 values, 2.1 KiB of tensors, to {} (native)\n", to.display()));
    assert!(!to.exists());
    assert_eq!(convert(&native, &to, &options).code, Some(0));
    let converted = Checkpoint::open(&to).expect("opens");
    let names: Vec<String> = converted.metadata().entries().map(|(fqn, _)| fqn.to_string()).collect();
    assert_eq!(names, ["net.weight"]);
    assert_eq!(converted.tensor("net.weight").expect("there").dtype(), dcp::DType::BFloat16);
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_written() {
    let (dir, native) = small();
    let to = dir.path().join("to");
    let cases: [(&[&str], &str); 9] = [
        (&[], "--to (native, dcp, torch-save)"),
        (&["--to", "zarr"], "\"zarr\" is no format"),
        (&["--to", "native", "--include", "nowhere.*"], "nothing in"),
        (&["--to", "native", "--exclude", "*"], "nothing in"),
        (&["--to", "native", "--include", "[a"], "the pattern \"[a\""),
        (&["--to", "native", "--rename", "modle=x"], "the old name \"modle\""),
        (&["--to", "native", "--rename", "step=loss"], "both \"step\" and \"loss\""),
        (&["--to", "native", "--dtype", "int8"], "not to int8"),
        (&["--to", "native", "--dtype", "float8_e8m0fnu"], "model."),
    ];
    for (options, with) in cases {
        let said = convert(&native, &to, options);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
        assert!(said.err.contains(with), "{with}: {said:?}");
        assert!(!to.exists());
    }
    for usage in [&["--to"][..], &["--rename", "x"], &["--jobs", "0"], &["--memory", "lots"], &["--dtype", "float"]] {
        assert_eq!(convert(&native, &to, usage).code, Some(2), "{usage:?}");
    }
    fails(&convert(&native, &native, &["--to", "dcp", "--force"]), 2, "both source and destination");
    fails(&convert(&native, &native.join("."), &["--to", "dcp", "--force"]), 2, "both source and destination");
    fails(&convert(&dir.path().join("nowhere"), &to, &["--to", "dcp"]), 2, "nowhere");
}

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let ((_dir, native), (_other, to)) = (small(), small());
    let before = files(&to);
    fails(&convert(&native, &to, &["--to", "native"]), 2, "already holds a checkpoint");
    fails(&convert(&native, &to, &["--to", "dcp", "--force"]), 2, "already holds a checkpoint");
    assert_eq!(files(&to), before);
    let said = convert(&native, &to, &["--to", "native", "--force", "--include", "step"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(Checkpoint::open(&to).expect("opens").metadata().len(), 1);
}

#[test]
fn a_damaged_source_leaves_nothing() {
    let (dir, native) = small();
    flip(&native.join("__2_0.distcp"), 10);
    let to = dir.path().join("deep/to");
    fails(&convert(&native, &to, &["--to", "dcp", "--include", "model.*"]), 1, "model.weight is damaged: bytes 0..");
    assert!(!dir.path().join("deep").exists());
    // And an older one stays as it was.
    let (_other, older) = small();
    let before = files(&older);
    fails(&convert(&native, &older, &["--to", "native", "--force"]), 1, "model.weight is damaged");
    assert_eq!(files(&older), before);
}

#[test]
fn a_place_that_cannot_be_written_is_an_error() {
    let (dir, native) = small();
    fails(&convert(&native, Path::new("/proc/checkpoint"), &["--to", "native"]), 2, "/proc");
    let file = dir.path().join("file");
    fs::write(&file, "text").expect("written");
    fails(&convert(&native, &file, &["--to", "native"]), 2, "file");
    // No file may be larger than a block or two: a disk that is full.
    let to = dir.path().join("full");
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" convert \"$1\" \"$2\" --to native"])
        .args([OsStr::new(env!("CARGO_BIN_EXE_dcpctl")), native.as_os_str(), to.as_os_str()])
        .output()
        .expect("runs");
    assert_eq!(limited.status.code(), Some(2), "{limited:?}");
    assert!(String::from_utf8_lossy(&limited.stderr).contains(".distcp"), "{limited:?}");
    assert!(!to.exists());
}

/// Nothing of a checkpoint that is refused is at the destination.
#[test]
fn hostile_checkpoints_leave_nothing() {
    let hostile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/torch-hostile");
    let (mut wrong, mut cases) = (Vec::new(), 0);
    for entry in fs::read_dir(hostile).expect("fixtures") {
        let mut place = entry.expect("entry").path();
        let Ok(note) = fs::read(place.join("NOTE.json")) else { continue };
        let note: Value = serde_json::from_slice(&note).expect("JSON");
        if place.join("model.pt").exists() {
            place.push("model.pt");
        }
        let allowed: &[i32] = if note["must"] == "either" { &[0, 1] } else { &[1] };
        for format in ["native", "dcp"] {
            let dir = tempfile::tempdir().expect("temporary directory");
            let to = dir.path().join("to");
            let said = convert(&place, &to, &["--to", format, "--no-fsync"]);
            let code = said.code.unwrap_or(-1);
            // What is no state at all is refused before anything of it is read.
            let is_no_state = code == 2 && said.err.contains("is not in a dict");
            if !(allowed.contains(&code) || is_no_state) || to.exists() != (code == 0) {
                wrong.push(format!("{} to {format}: {:?} {}", note["name"], said.code, said.err));
            }
            let salvaged = convert(&place, &to, &["--to", format, "--no-fsync", "--salvage", "--force"]);
            if !matches!(salvaged.code, Some(0..=2)) || to.exists() != (salvaged.code == Some(0)) {
                wrong.push(format!("{} salvaged to {format}: {salvaged:?}", note["name"]));
            }
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases > 50);
}

#[test]
fn the_help_says_how_names_are_matched() {
    let help = dcpctl(["convert", "--help"]);
    for word in ["dots among them", "the first one counts", "130 interrupted", "64M"] {
        assert!(help.out.contains(word), "{word}: {}", help.out);
    }
}
