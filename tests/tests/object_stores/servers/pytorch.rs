//! PyTorch's own way to a bucket: what is saved by one is loaded by the other.

use std::path::Path;
use std::process::Command;

use dcp::{
    Checkpoint, DType, DcpFormat, LoadedLeaf, LocalTensor, OwnedTensor, Saver, Shape, StateDict, TensorSpec, Value,
};
use dcp_types::Tree;

use super::{Server, place};

#[test]
#[ignore = "needs an S3 server, DCP_TEST_S3, and a Python with PyTorch and s3fs, DCP_TORCH_PYTHON"]
fn pytorch_loads_from_a_bucket() {
    let url = Server::s3().fresh();
    let (weight, half) = (tensor(DType::Float32), tensor(DType::BFloat16));
    let model = StateDict::new().with("weight", local(&weight)).with("half", local(&half));
    let state = StateDict::new().with("model", model).with("step", 7);
    Saver::new().format(DcpFormat::new()).save_dict(&state, place(&url)).expect("saves");
    python("check", &url);
}

#[test]
#[ignore = "needs an S3 server, DCP_TEST_S3, and a Python with PyTorch and s3fs, DCP_TORCH_PYTHON"]
fn what_pytorch_has_saved_in_a_bucket_is_loaded() {
    let url = Server::s3().fresh();
    python("save", &url);
    let checkpoint = Checkpoint::open(place(&url)).expect("opens");
    for (name, dtype) in [("model.weight", DType::Float32), ("model.half", DType::BFloat16)] {
        assert_eq!(checkpoint.tensor(name).expect("reads").bytes(), tensor(dtype).bytes(), "{name}");
    }
    let loaded = checkpoint.load().expect("loads");
    assert!(matches!(loaded.get("step"), Some(Tree::Leaf(LoadedLeaf::Value(Value::Int(7))))), "{loaded:?}");
}

/// 0, 1, 2, … in rows, as in `bucket.py`.
fn tensor(dtype: DType) -> OwnedTensor {
    let mut tensor = OwnedTensor::zeros(dtype, Shape::new([6, 8]).expect("a shape"));
    let numbers = (0..48u8).map(|number| f32::from(number).to_le_bytes());
    let bytes: Vec<u8> = match dtype {
        DType::Float32 => numbers.flatten().collect(),
        // The upper half: these numbers have no more digits.
        _ => numbers.flat_map(|[.., third, fourth]| [third, fourth]).collect(),
    };
    tensor.bytes_mut().copy_from_slice(&bytes);
    tensor
}

fn local(tensor: &OwnedTensor) -> LocalTensor<'_> {
    let spec = TensorSpec::replicated(tensor.dtype(), tensor.shape()).expect("a spec");
    LocalTensor::new(spec, tensor.view().expect("a view"))
}

fn python(what: &str, url: &str) {
    let python = std::env::var_os("DCP_TORCH_PYTHON").expect("DCP_TORCH_PYTHON names a Python with PyTorch and s3fs");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/bucket.py");
    let output = Command::new(python).arg("-B").arg(script).args([what, url]).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
