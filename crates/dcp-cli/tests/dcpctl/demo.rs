//! `dcpctl demo`.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{dcpctl, inspect};

fn entries(checkpoint: &Path) -> Vec<Value> {
    let said = inspect(checkpoint, &["--json", "--digest"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    report["entries"].as_array().expect("entries").clone()
}

#[test]
fn the_demo_shows_what_it_did_and_leaves_a_good_checkpoint() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let kept = dir.path().join("kept");
    let said = dcpctl(["demo".as_ref(), "--dir".as_ref(), kept.as_os_str()]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    for line in [
        "Model: a generated transformer with Adam state, ",
        "Saved from 8 ranks on a 4 x 2 mesh",
        "Loaded on 3 ranks (by rows)",
        "Loaded on 6 ranks on a 2 x 3 mesh",
        "whole chunks",
        "every byte is as it was saved",
        "Flipped one bit of optim.state.output.weight.exp_avg",
        "is damaged: bytes ",
        "the load failed on every rank",
    ] {
        assert!(said.out.contains(line), "{line:?} is not in\n{}", said.out);
    }
    // Every rank has its line, in each of the three tables.
    for (head, ranks) in [("Saved from", 8), ("Loaded on 3", 3), ("Loaded on 6", 6)] {
        let table = said
            .out
            .lines()
            .skip_while(|line| !line.starts_with(head))
            .skip_while(|line| !line.contains("needed") && !line.contains("written"));
        let rows = table.skip(1).map_while(|line| line.split_whitespace().next()?.parse::<u32>().ok());
        assert_eq!(rows.collect::<Vec<_>>(), (0..ranks).collect::<Vec<_>>(), "{head}:\n{}", said.out);
    }

    let entries = entries(&kept);
    let find = |fqn: &str| entries.iter().find(|entry| entry["fqn"] == fqn).unwrap_or_else(|| panic!("no {fqn}"));
    let query = find("model.layers.0.attention.wq.weight");
    assert_eq!(query["dtype"], "bfloat16");
    assert_eq!(query["mesh"]["shape"], serde_json::json!([4, 2]));
    assert_eq!(query["placements"], serde_json::json!(["StridedShard(0, 2)", "Shard(0)"]));
    assert_eq!(query["chunks"].as_array().map(Vec::len), Some(8));
    assert_eq!(find("optim.param_groups.0.betas")["value"], serde_json::json!({"__tuple__": [0.9, 0.95]}));
    assert_eq!(find("model.logit_scale")["shape"], serde_json::json!([]));

    let said = inspect(&kept, &[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.contains("in 8 files of 8 ranks\nsaved on mesh dp=4 x tp=2\n"), "{}", said.out);

    let again = dcpctl(["demo".as_ref(), "--dir".as_ref(), kept.as_os_str()]);
    assert_eq!((again.code, again.out.as_str()), (Some(2), ""));
    assert!(
        again.err.ends_with("is not empty; the demo writes into a new or an empty directory only\n"),
        "{}",
        again.err
    );
}

#[test]
fn a_model_from_a_file_comes_through_byte_for_byte() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (model, kept) = (dir.path().join("model.safetensors"), dir.path().join("kept"));
    let tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = vec![
        ("odd", Dtype::F32, vec![5, 3, 7], (0..420).map(|byte| byte as u8).collect()),
        ("wide", Dtype::F16, vec![3, 1001], (0..6006).map(|byte| (byte % 251) as u8).collect()),
        ("long", Dtype::U8, vec![997], (0..997).map(|byte| (byte % 241) as u8).collect()),
        ("short", Dtype::I64, vec![3], vec![7; 24]),
        ("one", Dtype::F64, vec![], vec![9; 8]),
        ("none", Dtype::BF16, vec![4, 0], vec![]),
        ("mask", Dtype::BOOL, vec![2, 2], vec![1, 0, 0, 1]),
    ];
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("view")));
    std::fs::write(&model, safetensors::serialize(views, None).expect("serialises")).expect("written");
    let args = ["demo".as_ref(), "--model".as_ref(), model.as_os_str(), "--dir".as_ref(), kept.as_os_str()];
    let said = dcpctl(args);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    assert!(said.out.starts_with("Model: model.safetensors, 7 tensors of 7.3 KiB and 0 values\n"), "{}", said.out);

    let entries = entries(&kept);
    assert_eq!(entries.len(), tensors.len());
    for (name, _, shape, bytes) in &tensors {
        let fqn = format!("model.{name}");
        let entry = entries.iter().find(|entry| entry["fqn"] == *fqn).expect("entry");
        assert_eq!(entry["shape"], serde_json::json!(shape));
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(entry["sha256"], *digest, "{fqn}");
    }
}

#[test]
fn the_demo_refuses_what_is_no_model() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let missing = dcpctl(["demo", "--model", "/nowhere/model.safetensors"]);
    assert_eq!((missing.code, missing.out.as_str(), missing.err.lines().count()), (Some(2), "", 1));
    let path = dir.path().join("bad.safetensors");
    std::fs::write(&path, [255; 100]).expect("written");
    let bad = dcpctl(["demo".as_ref(), "--model".as_ref(), path.as_os_str()]);
    assert_eq!((bad.code, bad.out.as_str(), bad.err.lines().count()), (Some(1), "", 1));
}
