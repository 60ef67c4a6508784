//! `dcpctl inspect`.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{flip, inspect, small, weight};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn json_has_everything() {
    let (_dir, checkpoint) = small();
    let said = inspect(&checkpoint, &["--json", "--digest"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(report["format"], "native");
    let value = |fqn: &str, kind: &str, value: Value| {
        json!({
            "fqn": fqn, "kind": kind, "dtype": null, "shape": null, "mesh": null, "placements": null, "chunks": null,
            "value": value, "sha256": null,
        })
    };
    let tensor = |fqn: &str, dtype: &str, shape: Value, chunks: Value, sha256: String| {
        json!({
            "fqn": fqn, "kind": "tensor", "dtype": dtype, "shape": shape, "mesh": null, "placements": null,
            "chunks": chunks, "value": null, "sha256": sha256,
        })
    };
    let entries = report["entries"].as_array().expect("entries");
    let opaque =
        json!({"__opaque__": {"encoding": "torch-save", "bytes": 9, "globals": ["os.system"], "would_run_code": true}});
    assert_eq!(
        entries[..8],
        [
            value("step", "value", json!(17)),
            value("loss", "value", json!({"__float__": "nan"})),
            value("betas", "value", json!({"__tuple__": [0.9, 0.95]})),
            value("rng", "value", json!({"__bytes__": "00ff"})),
            value("by_number", "value", json!({"__dict__": [[0, "zero"]]})),
            value("nothing", "value", json!(null)),
            value("tricky", "value", json!("\u{1b}[31mred\n")),
            value("opaque", "object", opaque),
        ]
    );
    let chunk = |offsets: [u64; 2], sizes: [u64; 2], rank: u32| json!({"offsets": offsets, "sizes": sizes, "file": format!("__{rank}_0.distcp")});
    let chunks = [
        chunk([0, 0], [19, 15], 0),
        chunk([0, 15], [19, 14], 1),
        chunk([19, 0], [18, 15], 2),
        chunk([19, 15], [18, 14], 3),
    ];
    let mut expected = tensor("model.weight", "float32", json!([37, 29]), json!(chunks), sha256(&weight()));
    expected["mesh"] = json!({"shape": [2, 2], "dim_names": ["dp", "tp"]});
    expected["placements"] = json!(["Shard(0)", "Shard(1)"]);
    assert_eq!(entries[8], expected);
    let file = entries[9]["chunks"][0]["file"].clone();
    let chunks = json!([{"offsets": [0], "sizes": [3], "file": file}]);
    let scale = tensor("model.scale", "float8_e4m3fn", json!([3]), chunks, sha256(&[0x38, 0x40, 0xb8]));
    assert_eq!(entries[9], scale);
    assert_eq!(entries[10], tensor("model.empty", "bfloat16", json!([0, 4]), json!([]), sha256(&[])));
    assert_eq!(entries.len(), 11);
}

#[test]
fn without_digest_there_is_none() {
    let (_dir, checkpoint) = small();
    let said = inspect(&checkpoint, &["--json"]);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(report["entries"].as_array().expect("entries").iter().all(|entry| entry["sha256"].is_null()));
    let said = inspect(&checkpoint, &[]);
    assert!(!said.out.contains("sha256"));
}

#[test]
fn people_get_a_table() {
    let (_dir, checkpoint) = small();
    let said = inspect(&checkpoint, &["--digest"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let (head, table) = said.out.split_once("\n\n").expect("two parts");
    let location = checkpoint.display();
    assert_eq!(
        head,
        format!(
            "native checkpoint in {location}\n3 tensors of 4.2 KiB and 8 values\n5 chunks in 4 files of 4 ranks\nsaved on mesh dp=2 x tp=2"
        )
    );
    let digest = sha256(&weight());
    for line in [
        "name          dtype          shape     placements          chunks    bytes  sha256",
        "step          value          17",
        "loss          value          NaN",
        "betas         value          (0.9, 0.95)",
        "rng           value          <2 B of data>",
        "tricky        value          \"\\u{1b}[31mred\\n\"",
        "opaque        value          <9 B of torch-save, would run code when PyTorch unpickles it: os.system>",
        &format!("model.weight  float32        [37, 29]  Shard(0), Shard(1)       4  4.2 KiB  {digest}"),
    ] {
        assert!(table.lines().any(|found| found == line), "{line:?} is not in\n{table}");
    }
}

#[test]
fn what_is_bad_does_not_hide_the_rest() {
    let (_dir, checkpoint) = small();
    flip(&checkpoint.join("__2_0.distcp"), 10);
    let said = inspect(&checkpoint, &["--json", "--digest"]);
    assert_eq!((said.code, said.err.lines().count()), (Some(1), 1), "{said:?}");
    assert!(said.err.starts_with("dcpctl: 1 entry is bad: model.weight is damaged: "), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let entries = report["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 11);
    for entry in entries {
        let is_bad = entry["fqn"] == "model.weight";
        assert_eq!(entry.get("error").is_some(), is_bad, "{entry}");
        assert_eq!(entry["kind"] == "tensor" && !is_bad, entry["sha256"].is_string(), "{entry}");
    }
    std::fs::remove_file(checkpoint.join("__3_0.distcp")).expect("removed");
    let said = inspect(&checkpoint, &["--json"]);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let weight = &report["entries"][8];
    assert!(weight["error"].as_str().is_some_and(|error| error.contains("__3_0.distcp")), "{weight}");
    let files: Vec<&Value> = weight["chunks"].as_array().expect("chunks").iter().map(|chunk| &chunk["file"]).collect();
    assert_eq!(files, [&json!("__0_0.distcp"), &json!("__1_0.distcp"), &json!("__2_0.distcp"), &json!(null)]);
    let said = inspect(&checkpoint, &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("BAD: __3_0.distcp does not exist"), "{said:?}");
}

#[test]
fn what_is_sound_is_shown_beside_what_is_not() {
    let place =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/torch-hostile/h62_geo_hole");
    let refused = inspect(&place, &["--json"]);
    assert_eq!((refused.code, refused.out.as_str(), refused.err.lines().count()), (Some(1), "", 1));
    let said = inspect(&place, &["--json", "--salvage"]);
    assert_eq!((said.code, said.err.lines().count()), (Some(1), 1), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let unsound = |entry: &&Value| entry["kind"] == "unsound";
    let entries = report["entries"].as_array().expect("entries");
    assert!(entries.iter().filter(unsound).all(|entry| entry["error"].is_string()), "{report}");
    assert!(entries.iter().any(|entry| unsound(&entry)) && entries.iter().any(|entry| !unsound(&entry)), "{report}");
    let said = inspect(&place, &["--salvage"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.lines().any(|line| line.starts_with("a       unsound   BAD: .metadata is corrupt")), "{said:?}");
}
