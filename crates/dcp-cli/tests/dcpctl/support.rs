//! Runs the command; makes a small checkpoint.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use dcp::crates::dcp_types::Opaque;
use dcp::{
    Collective, DType, DeviceMesh, DictKey, LocalTensor, Placement, Saver, Shape, StateDict, TensorSpec, ThreadGroup,
    Value, View,
};
use tempfile::TempDir;

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn dcpctl<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_dcpctl")).args(args).output().expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// `dcpctl inspect` with options.
pub(crate) fn inspect(checkpoint: &Path, options: &[&str]) -> Said {
    let args = [OsStr::new("inspect"), checkpoint.as_os_str()].into_iter();
    dcpctl(args.chain(options.iter().map(OsStr::new)))
}

/// The bytes of `model.weight` of the small checkpoint: 37 x 29 float32.
pub(crate) fn weight() -> Vec<u8> {
    (0..37 * 29).flat_map(|number| (number as f32).to_le_bytes()).collect()
}

/// Saves a small checkpoint from 4 ranks.
pub(crate) fn small() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = dir.path().join("step-1");
    let mesh = DeviceMesh::new([2, 2]).and_then(|mesh| mesh.with_names(["dp", "tp"])).expect("mesh");
    let placements = [Placement::Shard(0), Placement::Shard(1)];
    let spec = TensorSpec::sharded(DType::Float32, [37, 29], &Arc::new(mesh), placements).expect("spec");
    let (weight, scale) = (weight(), [0x38, 0x40, 0xb8]);
    let saved = ThreadGroup::run(4, |rank| {
        let whole = View::from_bytes(DType::Float32, &[37, 29], &weight).expect("view");
        let part = whole.slice(&spec.parts(rank.rank() as u32)[0].region).expect("slice");
        let scale = View::from_bytes(DType::Float8E4M3Fn, &[3], &scale).expect("view");
        let scale_spec = TensorSpec::replicated(DType::Float8E4M3Fn, [3]).expect("spec");
        let empty = View::from_bytes(DType::BFloat16, &[0, 4], &[]).expect("view");
        let empty_spec = TensorSpec::replicated(DType::BFloat16, Shape::new([0, 4]).expect("shape")).expect("spec");
        let model = StateDict::new()
            .with("weight", LocalTensor::new(spec.clone(), part))
            .with("scale", LocalTensor::new(scale_spec, scale))
            .with("empty", LocalTensor::new(empty_spec, empty));
        Saver::new().group(&rank).save_dict(&values().with("model", model), &place)
    });
    saved.into_iter().for_each(|outcome| drop(outcome.expect("no panic").expect("saves")));
    (dir, place)
}

fn values<'a>() -> StateDict<'a> {
    let opaque =
        Opaque { encoding: "torch-save".into(), bytes: vec![0u8; 9].into(), globals: vec!["os.system".into()] };
    let by_number = Value::Dict(vec![(DictKey::Int(0), "zero".into())]);
    StateDict::new()
        .with("step", 17)
        .with("loss", f64::NAN)
        .with("betas", Value::Tuple(vec![0.9.into(), 0.95.into()]))
        .with("rng", Value::from(vec![0u8, 255]))
        .with("by_number", by_number)
        .with("nothing", Value::None)
        .with("tricky", "\u{1b}[31mred\n")
        .with("opaque", Value::Opaque(opaque))
}

/// Flips a bit of a file.
pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).expect("read");
    bytes[offset] ^= 4;
    std::fs::write(path, bytes).expect("written");
}
