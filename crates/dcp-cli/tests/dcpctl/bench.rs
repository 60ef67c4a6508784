//! `dcpctl bench`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Said, dcpctl};

const PHASES: [&str; 7] =
    ["local plans", "exchange", "global plan", "layouts", "index written", "index read", "load plan"];

fn plan(options: &[&str]) -> Said {
    let sizes = ["bench", "plan", "--ranks", "24", "--tensors", "20", "--load-ranks", "5"];
    dcpctl(sizes.iter().chain(options))
}

fn io(place: &Path, options: &[&str]) -> Said {
    let size = ["--bytes", "300K", "--repeat", "1", "--jobs", "3"];
    let args = [Path::new("bench"), Path::new("io"), place].into_iter();
    dcpctl(args.chain(size.iter().chain(options).map(Path::new)))
}

fn json(said: &Said) -> Value {
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    serde_json::from_str(&said.out).expect("JSON")
}

#[test]
fn planning_is_measured_over_a_mesh_and_with_explicit_regions() {
    for (options, explicit, shards) in [(&["--json"][..], false, 24 * 20), (&["--json", "--explicit"], true, 24 * 22)] {
        let found = json(&plan(options));
        assert_eq!((&found["ranks"], &found["tensors"]), (&24.into(), &20.into()));
        assert_eq!((&found["explicit"], &found["shards"]), (&explicit.into(), &shards.into()));
        let phases = found["phases"].as_array().expect("phases");
        let mut names: Vec<_> = phases.iter().filter_map(|phase| phase["name"].as_str()).collect();
        // In the order in which they first come, which is not told.
        names.sort_by_key(|name| PHASES.iter().position(|known| known == name));
        assert_eq!(names, PHASES);
        let seconds =
            |name: &str| phases.iter().find(|phase| phase["name"] == name).and_then(|phase| phase["seconds"].as_f64());
        let saving: f64 = PHASES[..5].iter().filter_map(|name| seconds(name)).sum();
        assert!((found["save_seconds"].as_f64().expect("a number") - saving).abs() < 1e-6, "{found}");
        assert_eq!(found["open_seconds"].as_f64(), seconds("index read"));
        assert_eq!(found["load_plan_seconds"].as_f64(), seconds("load plan"));
        let sizes = ["index_bytes", "plan_bytes"].map(|name| found[name].as_u64().expect("a number"));
        // The index tells a mesh once for all ranks, and regions one by one. A rank is sent its own regions alone.
        assert_eq!(sizes.map(|size| size > 8 * shards), [explicit, false], "{found}");
    }
    let text = plan(&["--explicit"]);
    assert!(text.out.starts_with("24 ranks, 20 tensors as explicit regions: 528 shards"), "{text:?}");
    assert!(PHASES.iter().all(|name| text.out.contains(name)), "{text:?}");
}

#[test]
fn there_must_be_a_rank() {
    for bad in [["--ranks", "0"], ["--load-ranks", "0"], ["--ranks", "many"]] {
        let said = dcpctl(["bench", "plan"].iter().chain(&bad));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    }
    let said = dcpctl(["bench", "plan", "--ranks", "1", "--tensors", "0", "--json"]);
    assert_eq!(json(&said)["shards"], 0);
}

#[test]
fn transfers_are_measured_and_nothing_stays() {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::write(dir.path().join("mine"), "mine").expect("written");
    let found = json(&io(dir.path(), &["--json"]));
    let lines = found["lines"].as_array().expect("lines");
    let names: Vec<_> = lines.iter().filter_map(|line| line["name"].as_str()).collect();
    assert_eq!(names, ["plain put", "save", "plain get", "load", "load unchecked"]);
    assert!(
        lines.iter().all(|line| line["bytes"] == found["bytes"] && line["gb_per_s"].as_f64() > Some(0.0)),
        "{found}"
    );
    assert_eq!(found["bytes"], 300 << 10);
    for ratio in ["save_ratio", "load_ratio", "load_unchecked_ratio"] {
        assert!(found[ratio].as_f64() > Some(0.0), "{found}");
    }
    // Also where there was nothing before.
    let text = io(&dir.path().join("new/deeper"), &[]);
    assert!(text.code == Some(0) && text.out.contains("of plain"), "{text:?}");
    let names: Vec<_> =
        fs::read_dir(dir.path()).expect("listed").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(names, ["mine"]);
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, "mine").expect("written");
    let said = io(&file, &[]);
    assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (Some(2), "", 1), "{said:?}");
    assert_eq!(fs::read_to_string(&file).expect("read"), "mine");
}
