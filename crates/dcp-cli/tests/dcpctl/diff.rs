//! `dcpctl diff`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use dcp::{LocalTensor, Saver, StateDict};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Said, dcpctl, flip, small};

fn diff(left: &Path, right: &Path, options: &[&str]) -> Said {
    let args = [OsStr::new("diff"), left.as_os_str(), right.as_os_str()].into_iter();
    dcpctl(args.chain(options.iter().map(OsStr::new)))
}

/// Saves a tensor and a value.
fn save(dir: &TempDir, name: &str, elements: [f32; 3], step: i64) -> PathBuf {
    let place = dir.path().join(name);
    let array = ndarray_of(&elements);
    let tensor = LocalTensor::new(
        dcp::TensorSpec::replicated(dcp::DType::Float32, [3]).expect("a spec"),
        dcp::View::from_bytes(dcp::DType::Float32, &[3], &array).expect("a view"),
    );
    Saver::new().save_dict(&StateDict::new().with("w", tensor).with("step", step), &place).expect("saves");
    place
}

fn ndarray_of(elements: &[f32]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_le_bytes()).collect()
}

fn report(said: &Said) -> Value {
    serde_json::from_str(&said.out).expect("JSON")
}

#[test]
fn the_same_is_0() {
    let ((_left, left), (_right, right)) = (small(), small());
    let said = diff(&left, &right, &[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("the same") && said.out.contains("3 tensors of 4.2 KiB and 8 values"), "{said:?}");
    let said = diff(&left, &right, &["--json"]);
    let report = report(&said);
    assert_eq!((said.code, &report["status"]), (Some(0), &json!("same")));
    assert_eq!(report["left"], json!({ "location": left, "format": "native" }));
    assert_eq!((&report["tensors"], &report["values"]), (&json!(3), &json!(8)));
    assert_eq!((&report["differences"], &report["unreadable"]), (&json!([]), &json!([])));
    assert_eq!(diff(&left, &right, &["--quiet"]).out, "");
    // NaN in a value.
    let said = diff(&left, &right, &["--nan-differs"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.starts_with("loss: NaN in A, NaN in B\n"), "{said:?}");
}

#[test]
fn differences_are_1() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let left = save(&dir, "left", [1.0, 2.0, f32::INFINITY], 7);
    let right = save(&dir, "right", [1.0, 4.0, 0.0], 8);
    let said = diff(&left, &right, &[]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "w: 2 of 3 elements differ, the first at [1], by at most inf (relative inf)");
    assert_eq!(lines[1], "step: 7 in A, 8 in B");
    assert!(lines[2].ends_with(": different"), "{said:?}");

    let said = diff(&left, &right, &["--json"]);
    let report = report(&said);
    assert_eq!((said.code, &report["status"]), (Some(1), &json!("different")));
    let inf = json!({ "__float__": "inf" });
    let expected = json!([
        { "fqn": "w", "kind": "elements", "differing": 2, "of": 3, "first": [1], "max_abs": inf, "max_rel": inf, "nan": 0 },
        { "fqn": "step", "kind": "value", "path": "", "left": 7, "right": 8 },
    ]);
    assert_eq!(report["differences"], expected);

    let said = diff(&left, &right, &["--quiet"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(1), "", ""));
    let near = save(&dir, "near", [1.0, 2.5, f32::INFINITY], 7);
    let code = |options: &[&str]| diff(&left, &near, options).code;
    assert_eq!(code(&["--atol", "0.5"]), Some(0));
    assert_eq!(code(&["--atol", "0.4"]), Some(1));
    assert_eq!(code(&["--rtol", "0.2"]), Some(0));
    assert_eq!(code(&["--rtol", "0.1"]), Some(1));
    assert_eq!(code(&["--exclude", "w"]), Some(0));
    assert_eq!(code(&["--include", "step"]), Some(0));
    assert_eq!(code(&["--include", "w"]), Some(1));
}

#[test]
fn trouble_is_2_and_hides_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let left = save(&dir, "left", [1.0, 2.0, 3.0], 7);
    let right = save(&dir, "right", [1.0, 2.0, 3.0], 8);
    flip(&left.join("__0_0.distcp"), 5);
    let said = diff(&left, &right, &[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.out.starts_with("step: 7 in A, 8 in B\nw: cannot be read in A: "), "{said:?}");
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    assert!(
        said.err.contains("not everything could be compared: 1 problem, the first: w: cannot be read in A"),
        "{said:?}"
    );
    let report = report(&diff(&left, &right, &["--json"]));
    assert_eq!(report["status"], "unknown");
    let problem = &report["unreadable"][0];
    assert_eq!((&problem["fqn"], &problem["side"], &problem["kind"]), (&json!("w"), &json!("left"), &json!("damaged")));

    fs::write(right.join("index.dcp"), b"no index").expect("written");
    for (one, other, who) in [(&left, &right, "B cannot"), (&right, &left, "A cannot")] {
        let said = diff(one, other, &["--json"]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
        assert!(said.err.contains(who), "{said:?}");
    }
    assert_eq!(diff(&left, &dir.path().join("missing"), &[]).code, Some(2));
    let chosen = diff(&left, &left, &["--include", "v"]);
    assert!(chosen.code == Some(2) && chosen.err.contains("nothing in"), "{chosen:?}");
    for wrong in
        [&["--rtol", "-1"][..], &["--atol", "x"], &["--rtol", "nan"], &["--include", "[a"], &["--json", "--quiet"]]
    {
        assert_eq!(diff(&left, &left, wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn all_kinds_of_differences_are_told() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (_small, right) = small();
    let left = save(&dir, "left", [1.0, 2.0, 3.0], 17);
    let said = diff(&left, &right, &["--json", "--exclude", "{loss,r*,b*,n*,t*,o*}"]);
    let kinds: Vec<Value> =
        report(&said)["differences"].as_array().expect("a list").iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["only-left", "only-right", "only-right", "only-right"], "{said:?}");
    // Names of one checkpoint do not move the cursor.
    let text = diff(&left, &right, &[]);
    assert!(text.out.contains("tricky: only in B"), "{text:?}");
}
