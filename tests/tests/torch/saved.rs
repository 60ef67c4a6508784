//! Files of `torch.save`, by themselves.

use std::path::{Path, PathBuf};

use dcp::crates::dcp_types::{DictKey, Segment};
use dcp::{Checkpoint, Error, Region, StorageError};
use dcp_cli::{Dcpctl, Status};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torch").join(name)
}

fn inspect(file: &Path) -> Value {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let path = file.to_str().expect("text");
    let status = Dcpctl::new().run(["dcpctl", "inspect", "--json", "--digest", path], &mut out, &mut err);
    assert_eq!(status, Status::Fine, "{path}: {}", String::from_utf8_lossy(&err));
    serde_json::from_slice(&out).expect("JSON")
}

/// What tagged JSON has under a key or number.
fn step<'v>(tree: &'v Value, segment: &Segment) -> &'v Value {
    let key = match segment {
        Segment::Item(number) => return &tree[*number as usize],
        Segment::Key(DictKey::Str(key)) => Value::from(&**key),
        Segment::Key(DictKey::Int(key)) => Value::from(*key),
        other => panic!("{other:?}"),
    };
    let pairs = tree.get("__ordereddict__").or_else(|| tree.get("__dict__")).and_then(Value::as_array);
    match pairs {
        Some(pairs) => &pairs.iter().find(|pair| pair[0] == key).expect("the key")[1],
        None => &tree[key.as_str().expect("a text key")],
    }
}

const FILES: [(&str, &str); 10] = [
    ("15_torchsave/model.pt", "15_torchsave/expected.json"),
    ("15_torchsave/proto4.pt", "15_torchsave/expected.json"),
    ("15_torchsave/legacy.pt", "15_torchsave/expected.json"),
    ("15_torchsave@2.1.2/legacy.pt", "15_torchsave@2.1.2/expected.json"),
    ("15_torchsave@2.4.1/legacy.pt", "15_torchsave@2.4.1/expected.json"),
    ("15_torchsave/back.pt", "15_torchsave/back.expected.json"),
    ("15_torchsave@2.1.2/model.pt", "15_torchsave@2.1.2/expected.json"),
    ("15_torchsave@2.4.1/model.pt", "15_torchsave@2.4.1/expected.json"),
    ("16_fabric_fsdp_w2/ckpt.consolidated", "16_fabric_fsdp_w2/consolidated.expected.json"),
    ("16_fabric_mp_w2/ckpt.consolidated", "16_fabric_mp_w2/consolidated.expected.json"),
];

#[test]
fn a_file_holds_the_tree_that_was_saved() {
    for (file, expected) in FILES {
        let expected = std::fs::read_to_string(fixture(expected)).expect("reads");
        let expected: Value = serde_json::from_str(&expected).expect("JSON");
        let report = inspect(&fixture(file));
        assert_eq!(report["format"], "torch-save");
        let checkpoint = Checkpoint::open(fixture(file)).expect("opens");
        assert!(checkpoint.metadata().len() > 70, "{file}");
        for found in report["entries"].as_array().expect("entries") {
            let fqn = found["fqn"].as_str().expect("text");
            let (_, entry) = checkpoint.metadata().find(fqn).expect("an entry");
            let saved = entry.path.segments().iter().fold(&expected["tree"], step);
            match saved.get("__tensor__") {
                Some(tensor) => {
                    for field in ["dtype", "shape", "sha256"] {
                        assert_eq!(found[field], tensor[field], "{file}: {fqn}");
                    }
                }
                None => assert_eq!(found["value"], *saved, "{file}: {fqn}"),
            }
        }
    }
}

#[test]
fn a_slice_of_a_file_reads_a_slice() {
    let checkpoint = Checkpoint::open(fixture("15_torchsave/model.pt")).expect("opens");
    let whole = checkpoint.tensor("model.tok.weight").expect("reads");
    let rows = Region::new([1, 0], [2, whole.shape().dims()[1]]).expect("region");
    let slice = checkpoint.slice("model.tok.weight", &rows).expect("reads");
    let row = slice.bytes().len() / 2;
    assert_eq!(slice.bytes(), &whole.bytes()[row..3 * row]);
}

#[test]
fn what_only_python_can_make_is_opaque_and_named() {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torch-hostile/h116_torchsave_unknown_class/model.pt");
    let report = inspect(&at);
    let args = &report["entries"].as_array().expect("entries").iter().find(|entry| entry["fqn"] == "args");
    let opaque = &args.expect("args")["value"]["__opaque__"];
    assert_eq!(opaque["globals"], serde_json::json!(["argparse.Namespace"]));
    assert_eq!(opaque["would_run_code"], true);
}

/// What has no dtype or layout here, or is no tensor at all: files, names in them, and what PyTorch would call.
const ODD: [(&str, &str, &[&str]); 8] = [
    ("sparse.pt", "", &["torch._utils._rebuild_sparse_tensor"]),
    ("csr.pt", "", &["torch._utils._rebuild_sparse_tensor"]),
    ("quant.pt", "", &["torch._utils._rebuild_qtensor", "torch.per_tensor_affine"]),
    ("numpy.pt", "a", &["numpy._core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"]),
    ("numpy.pt", "s", &["numpy._core.multiarray.scalar", "numpy.dtype"]),
    ("storage.pt", "", &[]),
    ("device_meta.pt", "", &["torch._utils._rebuild_meta_tensor_no_storage"]),
    ("defaultdict.pt", "", &["collections.defaultdict", "__builtin__.list"]),
];

#[test]
fn tensors_of_other_kinds_are_opaque_each_by_itself() {
    for (file, fqn, globals) in ODD {
        let checkpoint = Checkpoint::open(fixture("15_torchsave_exotic").join(file)).expect("opens");
        let value = checkpoint.value(fqn).unwrap_or_else(|error| panic!("{file}: {error}"));
        let dcp::Value::Opaque(opaque) = value else { panic!("{file}: {value:?}") };
        assert_eq!(opaque.globals.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), globals, "{file}: {fqn}");
    }
}

/// Of a legacy file whose storage says that it has 2^62 elements, nothing is allocated.
#[test]
fn an_old_file_that_lies_is_refused() {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torch-hostile/h117_torchsave_legacy_huge/model.pt");
    let error = Checkpoint::open(at).and_then(|checkpoint| checkpoint.load()).expect_err("refused");
    assert!(matches!(&error, Error::Storage(fault) if matches!(**fault, StorageError::Corrupt { .. })), "{error}");
}
