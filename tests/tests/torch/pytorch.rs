//! What is saved here is loaded by PyTorch itself: `cargo xtask test --only pytorch` makes an environment that has it. Or a Python is named:
//!
//! ```text
//! DCP_TORCH_PYTHON=python3 cargo test -p dcp-tests --test torch -- --ignored pytorch
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use dcp::crates::dcp_types::{Tree, Typed};
use dcp::{
    Checkpoint, Converter, DType, DcpFormat, DeviceMesh, LocalStore, LocalTensor, Opener, OwnedTensor, Placement,
    Saver, Shape, StateDict, TensorSpec, ThreadGroup, TorchSaveFormat, Value, View,
};
use dcp_tests::{Coding, Leaf, Place, Whole, cases};
use dcp_types::TensorValue;
use ndarray::{Array2, s};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use crate::round_trip::for_pytorch;

/// A Python with PyTorch.
pub(crate) struct Python {
    program: PathBuf,
    dtypes: BTreeSet<String>,
}

impl Python {
    pub(crate) fn new() -> Self {
        let program = std::env::var_os("DCP_TORCH_PYTHON").expect("DCP_TORCH_PYTHON names a Python with PyTorch");
        let mut python = Self { program: program.into(), dtypes: BTreeSet::new() };
        python.dtypes = python.run("load_dcp.py", &["dtypes"]).lines().map(str::to_owned).collect();
        python
    }

    pub(crate) fn run(&self, script: &str, args: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script);
        let output = Command::new(&self.program).arg("-B").arg(script).args(args).output().expect("runs");
        let printed = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}\n{}", printed(&output.stdout), printed(&output.stderr));
        printed(&output.stdout)
    }

    fn knows(&self, dtype: DType) -> bool {
        self.dtypes.contains(dtype.name())
    }

    /// Lets PyTorch load a checkpoint, alone and on meshes. `shown` are objects as Python shows them; of others it is enough that they are
    /// loaded.
    fn check(&self, at: &Path, meshes: &[&[u32]], shown: &[(&str, &str)]) {
        self.check_as("check", &Checkpoint::open(at).expect("opens"), at, meshes, shown);
    }

    fn check_as(&self, how: &str, checkpoint: &Checkpoint, at: &Path, meshes: &[&[u32]], shown: &[(&str, &str)]) {
        let (tensors, objects) = manifest(checkpoint, shown);
        let manifest = json!([{"path": at, "meshes": meshes, "tensors": tensors, "objects": objects}]);
        let file = at.join("manifest.json");
        std::fs::write(&file, manifest.to_string()).expect("writes");
        self.run("load_dcp.py", &[how, file.to_str().expect("text")]);
    }

    /// The same for a file of `torch.save`.
    fn check_file(&self, at: &Path, shown: &[(&str, &str)]) {
        let (tensors, objects) = manifest(&Checkpoint::open(at).expect("opens"), shown);
        let manifest = json!([{"path": at, "trusted": false, "tensors": tensors, "objects": objects}]);
        let file = at.with_extension("json");
        std::fs::write(&file, manifest.to_string()).expect("writes");
        self.run("load_pt.py", &["check", file.to_str().expect("text")]);
    }
}

/// The tensors and objects of a checkpoint, as the scripts want to have them.
fn manifest(checkpoint: &Checkpoint, shown: &[(&str, &str)]) -> (Map<String, Json>, Map<String, Json>) {
    let (mut tensors, mut objects) = (Map::new(), Map::new());
    for (fqn, entry) in checkpoint.metadata().entries() {
        if let Some(tensor) = entry.as_tensor() {
            let bytes = checkpoint.tensor(fqn.as_str()).expect("reads");
            let digest: String = Sha256::digest(bytes.bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            tensors.insert(fqn.to_string(), json!([tensor.dtype.name(), tensor.shape.dims(), digest]));
        } else {
            let shown = shown.iter().find(|(name, _)| *name == fqn.as_str()).map(|(_, shown)| *shown);
            objects.insert(fqn.to_string(), json!(shown));
        }
    }
    (tensors, objects)
}

/// Tensors of every dtype and many shapes, over a mesh of four ranks, in a nested state.
#[test]
#[ignore = "needs a Python with PyTorch: DCP_TORCH_PYTHON"]
fn pytorch_loads_tensors_of_every_dtype_on_meshes_of_its_own() {
    let python = Python::new();
    for files in [1, 3] {
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = dir.path().join("step");
        save_every_dtype(&python, &at, |saver| saver.format(DcpFormat::new().files_per_rank(files)));
        let meshes: &[&[u32]] = if files == 1 { &[&[3], &[2, 2]] } else { &[] };
        python.check(&at, meshes, &[("a.key with dots.é", "3")]);
    }
}

/// Four ranks save a nested state: of each dtype, tensors of several shapes that lie over them in several ways.
fn save_every_dtype(python: &Python, at: &Path, choose: impl for<'s> Fn(Saver<'s>) -> Saver<'s> + Sync) {
    let mesh = Arc::new(DeviceMesh::new([2, 2]).expect("a mesh"));
    let shapes: [(&[u64], [Placement; 2]); 5] = [
        (&[], [Placement::Replicate, Placement::Replicate]),
        (&[7], [Placement::Shard(0), Placement::Replicate]),
        (&[5, 6], [Placement::Shard(0), Placement::Shard(1)]),
        (&[3, 1, 4], [Placement::Shard(0), Placement::Shard(0)]),
        (&[0, 3], [Placement::Replicate, Placement::Replicate]),
    ];
    let mut wholes = Vec::new();
    for &dtype in DType::ALL.iter().filter(|dtype| python.knows(**dtype)) {
        for (number, (shape, placements)) in (0i64..).zip(&shapes) {
            let shape = Shape::new(shape.iter().copied()).expect("a shape");
            let spec = TensorSpec::sharded(dtype, shape.clone(), &mesh, placements.to_vec()).expect("a spec");
            wholes.push((dtype, number, spec, Whole::new(dtype, shape, wholes.len() as u64)));
        }
    }
    let outcomes = ThreadGroup::run(4, |rank| {
        let position = dcp::Collective::rank(&rank) as u32;
        let buffers: Vec<OwnedTensor> = wholes.iter().map(|(_, _, spec, whole)| local(spec, whole, position)).collect();
        let mut state = StateDict::new();
        for ((dtype, number, spec, _), buffer) in wholes.iter().zip(&buffers) {
            let tensor = LocalTensor::new(spec.clone(), buffer.view().expect("a view"));
            let of_dtype = state.take_dict(dtype.name()).with(*number, tensor);
            state.insert(dtype.name(), of_dtype);
        }
        state.insert("a.key with dots", StateDict::new().with("é", 3));
        choose(Saver::new().group(&rank)).save_dict(&state, at)
    });
    outcomes.into_iter().for_each(|outcome| drop(outcome.expect("no rank panics").expect("saves")));
}

/// One file, which four ranks write together: rows, columns, blocks, replicas.
#[test]
#[ignore = "needs a Python with PyTorch: DCP_TORCH_PYTHON"]
fn pytorch_loads_a_file_that_ranks_have_written_together() {
    let python = Python::new();
    let dir = tempfile::tempdir().expect("temporary directory");
    let at = dir.path().join("model.pt");
    save_every_dtype(&python, &at, |saver| saver.format(TorchSaveFormat::new()));
    python.check_file(&at, &[("a.key with dots.é", "3")]);
}

fn local(spec: &TensorSpec, whole: &Whole, position: u32) -> OwnedTensor {
    let shape = Shape::new(spec.local_shape(position).expect("extents")).expect("a shape");
    let mut buffer = OwnedTensor::zeros(whole.dtype, shape);
    let bytes: Vec<u8> = spec.parts(position).iter().flat_map(|part| whole.slice(&part.region)).collect();
    buffer.bytes_mut().copy_from_slice(&bytes);
    buffer
}

/// Values of every kind, and a state as trainers have it.
#[test]
#[ignore = "needs a Python with PyTorch: DCP_TORCH_PYTHON"]
fn pytorch_loads_values_as_what_they_are() {
    let python = Python::new();
    let typed = |name: &str, value: Value| Value::from(Typed::new(name, value));
    let shape = |extents: &[u64]| Shape::new(extents.iter().copied()).expect("a shape");
    let column =
        TensorValue::strided(DType::UInt8, shape(&[2]), [3], 1, vec![0u8, 1, 2, 3, 4, 5].into()).expect("inside");
    let weight = TensorValue::new(DType::Int16, shape(&[1, 2]), vec![1u8, 0, 2, 0]).expect("a tensor");
    let parameter = TensorValue::new(DType::BFloat16, shape(&[]), vec![0x80u8, 0x3f]).expect("a tensor");
    let pairs = |pairs: &[(Value, Value)]| {
        Value::List(pairs.iter().map(|(key, value)| Value::Tuple(vec![key.clone(), value.clone()])).collect())
    };
    let values: Vec<(&str, Value, &str)> = vec![
        ("none", Value::None, "None"),
        ("true", true.into(), "True"),
        ("small", 200.into(), "200"),
        ("negative", (-3).into(), "-3"),
        ("lowest", i64::MIN.into(), "-9223372036854775808"),
        ("unsigned", u64::MAX.into(), "18446744073709551615"),
        ("big", typed(Typed::INT, "-100000000000000000000000".into()), "-100000000000000000000000"),
        ("float", 0.1.into(), "0.1"),
        ("negative zero", (-0.0).into(), "-0.0"),
        ("infinite", f64::NEG_INFINITY.into(), "-inf"),
        ("complex", Value::Complex(1.0, -2.5), "(1-2.5j)"),
        ("text", "é\n\u{1f600}".into(), "'é\\n\u{1f600}'"),
        ("bytes", vec![0u8, 65, 255].into(), "b'\\x00A\\xff'"),
        ("no bytes", Vec::<u8>::new().into(), "b''"),
        ("bytearray", typed(Typed::BYTEARRAY, vec![1u8].into()), "bytearray(b'\\x01')"),
        ("list", Value::List(vec![1.into(), Value::List(vec![]), 2.into()]), "list[1, list[], 2]"),
        ("tuple", Value::Tuple(vec![1.into(), 2.into(), 3.into(), 4.into()]), "tuple[1, 2, 3, 4]"),
        ("one", Value::Tuple(vec![Value::Tuple(vec![])]), "tuple[tuple[]]"),
        ("dict", Value::Dict(vec![("a".into(), 1.into()), (7.into(), Value::None)]), "dict{'a': 1, 7: None}"),
        ("pairs", typed(Typed::DICT, pairs(&[(true.into(), 1.into())])), "dict{True: 1}"),
        (
            "ordered",
            typed(Typed::ORDERED_DICT, Value::Dict(vec![("z".into(), 1.into()), ("a".into(), 2.into())])),
            "OrderedDict{'z': 1, 'a': 2}",
        ),
        ("set", typed(Typed::SET, Value::List(vec![2.into(), 1.into()])), "set([1, 2])"),
        ("frozenset", typed(Typed::FROZENSET, Value::List(vec![])), "frozenset([])"),
        ("size", typed(Typed::TORCH_SIZE, Value::Tuple(vec![2.into(), 3.into()])), "torch.Size([2, 3])"),
        ("dtype", typed(Typed::TORCH_DTYPE, "bfloat16".into()), "torch.bfloat16"),
        ("device", typed(Typed::TORCH_DEVICE, "cuda:1".into()), "device(type='cuda', index=1)"),
        ("cpu", typed(Typed::TORCH_DEVICE, "cpu".into()), "device(type='cpu')"),
        ("layout", typed(Typed::TORCH_LAYOUT, "strided".into()), "torch.strided"),
        (
            "tensors",
            Value::Tuple(vec![column.clone().into(), weight.into(), column.into()]),
            "tuple[tensor(uint8, [2], 0104), tensor(int16, [1, 2], 01000200), tensor(uint8, [2], 0104)]",
        ),
        (
            "parameter",
            // Inside of a value: PyTorch takes one by itself for a tensor.
            Value::Tuple(vec![typed(Typed::TORCH_PARAMETER, parameter.with_requires_grad(true).into())]),
            "tuple[Parameter(tensor(bfloat16, [], 803f), True)]",
        ),
        ("long", Value::List((0..1500).map(Value::from).collect()), &long(1500)),
    ]
    .into_iter()
    .map(|(name, value, shown)| (name, value, Box::leak(shown.to_owned().into_boxed_str()) as &str))
    .collect();
    let mut state: StateDict<'_> = values.iter().map(|(name, value, _)| (*name, value.clone())).collect();
    let groups: Vec<Tree<_>> = [0.1, 0.2].into_iter().map(|rate| StateDict::new().with("lr", rate).into()).collect();
    state.insert("optim", StateDict::new().with("param_groups", Tree::List(groups)));
    let mut shown: Vec<(&str, &str)> = values.iter().map(|(name, _, shown)| (*name, *shown)).collect();
    shown.extend([("optim.param_groups.0.lr", "0.1"), ("optim.param_groups.1.lr", "0.2")]);
    let dir = tempfile::tempdir().expect("temporary directory");
    let at = dir.path().join("step");
    let saver = Saver::new().format(DcpFormat::new()).overwrite(true);
    saver.save_dict(&StateDict::new().with("an earlier one", 0), &at).expect("saves");
    saver.save_dict(&state, &at).expect("saves");
    python.check(&at, &[&[2]], &shown);
}

fn long(count: usize) -> String {
    format!("list[{}]", (0..count).map(|item| item.to_string()).collect::<Vec<_>>().join(", "))
}

/// Objects that only Python can make, and everything else that PyTorch has once saved.
#[test]
#[ignore = "needs a Python with PyTorch: DCP_TORCH_PYTHON"]
fn pytorch_loads_what_it_has_saved_before() {
    let python = Python::new();
    for name in ["01_nested", "05_fsdp2_w2", "07_2d_w4_uneven", "11_hand_w2", "20_titan_w2"] {
        let loaded = Checkpoint::open(&crate::expected::one(name).path).and_then(|found| found.load()).expect("loads");
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = dir.path().join("step");
        let state = crate::again::state_of(&loaded);
        Saver::new().format(DcpFormat::new()).save_dict(&state, &at).expect("saves");
        python.check(&at, &[&[2]], &[]);
    }
}

/// States of any form, saved by any group of ranks.
#[test]
#[ignore = "needs a Python with PyTorch: DCP_TORCH_PYTHON"]
fn pytorch_loads_states_of_any_form() {
    let python = Python::new();
    let mut runner = TestRunner::deterministic();
    for number in 0..24 {
        let mut case = for_pytorch(cases(6, true).new_tree(&mut runner).expect("a case").current());
        case.tree = case.tree.into_iter().map(|(key, node)| (key, without_empty_dicts(node))).collect();
        if dcp_tests::tensors_of(&case.tree).iter().any(|tensor| !python.knows(tensor.whole.dtype)) {
            continue;
        }
        let dir = tempfile::tempdir().expect("temporary directory");
        let place: Place = Arc::new(LocalStore::open(dir.path()));
        case.save_with(&place, |saver| saver.format(DcpFormat::new())).expect("saves");
        let meshes: &[&[u32]] = if number % 8 == 0 { &[&[3]] } else { &[] };
        python.check(dir.path(), meshes, &[]);
    }
}

/// PyTorch does not save them, so it does not look for them where they were.
fn without_empty_dicts(node: Tree<Leaf>) -> Tree<Leaf> {
    let each = |items: Vec<Tree<Leaf>>| items.into_iter().map(without_empty_dicts).collect();
    match node {
        Tree::Dict(dict) if dict.is_empty() => Tree::Leaf(Leaf::Value("nothing".into())),
        Tree::Dict(dict) => Tree::Dict(dict.into_iter().map(|(key, node)| (key, without_empty_dicts(node))).collect()),
        Tree::List(items) => Tree::List(each(items)),
        Tree::Tuple(items) => Tree::Tuple(each(items)),
        leaf @ Tree::Leaf(_) => leaf,
    }
}

/// What is compressed here is decompressed there, by the extension that PyTorch has for it.
#[test]
#[ignore = "needs a Python with PyTorch and zstandard: DCP_TORCH_PYTHON"]
fn pytorch_loads_what_went_through_transforms() {
    let python = Python::new();
    let has_zstd = python.run("load_dcp.py", &["zstd"]).trim() == "True";
    let mut runner = TestRunner::deterministic();
    let mut checked = 0;
    while checked < 12 {
        let mut case = for_pytorch(cases(6, true).new_tree(&mut runner).expect("a case").current());
        case.tree = case.tree.into_iter().map(|(key, node)| (key, without_empty_dicts(node))).collect();
        if dcp_tests::tensors_of(&case.tree).iter().any(|tensor| !python.knows(tensor.whole.dtype)) {
            continue;
        }
        checked += 1;
        let dir = tempfile::tempdir().expect("temporary directory");
        let place: Place = Arc::new(LocalStore::open(dir.path()));
        // Without zstd at hand at least what is sealed can be read.
        let coding = [Coding::Sealed, Coding::Zstd, Coding::Both][if has_zstd { checked % 3 } else { 0 }];
        case.save_with(&place, |saver| saver.format(coding.dcp())).expect("saves");
        let how = if coding == Coding::Zstd { "check" } else { "check-sealed" };
        let checkpoint = Opener::new().format(coding.dcp()).open(dir.path()).expect("opens");
        let meshes: &[&[u32]] = if coding == Coding::Zstd && checked < 6 { &[&[3]] } else { &[] };
        python.check_as(how, &checkpoint, dir.path(), meshes, &[]);
    }
}

/// Each rank finds what it holds in its own index.
#[test]
#[ignore = "needs a Python with PyTorch: DCP_TORCH_PYTHON"]
fn pytorch_loads_without_collectives() {
    let python = Python::new();
    let dir = tempfile::tempdir().expect("temporary directory");
    let at = dir.path().join("step");
    let mesh = Arc::new(DeviceMesh::new([4]).expect("a mesh"));
    let whole = Array2::from_shape_fn((8, 8), |(row, column)| (8 * row + column) as f32);
    let placed =
        [("rows", Placement::Shard(0)), ("columns", Placement::Shard(1)), ("replicated", Placement::Replicate)];
    let outcomes = ThreadGroup::run(4, |rank| {
        let two = 2 * dcp::Collective::rank(&rank);
        let mut state = StateDict::new().with("step", 7);
        for (name, placement) in placed {
            let part = match placement {
                Placement::Shard(0) => whole.slice(s![two..two + 2, ..]),
                Placement::Shard(_) => whole.slice(s![.., two..two + 2]),
                _ => whole.view(),
            };
            let spec = TensorSpec::sharded(DType::Float32, [8, 8], &mesh, [placement]).expect("a spec");
            state.insert(name, LocalTensor::new(spec, View::from_array(part.into_dyn())));
        }
        Saver::new().group(&rank).format(DcpFormat::new().index_per_rank()).save_dict(&state, &at)
    });
    outcomes.into_iter().for_each(|outcome| drop(outcome.expect("no rank panics").expect("saves")));
    python.run("load_ranks.py", &[at.to_str().expect("text"), "4"]);
}

/// Through another format and back, objects included.
#[test]
#[ignore = "needs a Python with PyTorch: DCP_TORCH_PYTHON"]
fn pytorch_finds_nothing_changed_by_conversions() {
    let python = Python::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/torch");
    let routes = [
        ("15_torchsave/model.pt", ["dcp", "torch-save"]),
        ("15_torchsave/model.pt", ["native", "torch-save"]),
        ("15_torchsave_exotic/numpy.pt", ["dcp", "torch-save"]),
        ("01_nested", ["native", "dcp"]),
        ("07_2d_w4_uneven", ["native", "dcp"]),
        ("20_titan_w2", ["native", "dcp"]),
        ("20_titan_w2", ["torch-save", "dcp"]),
    ];
    for (name, route) in routes {
        let dir = tempfile::tempdir().expect("temporary directory");
        let source = fixtures.join(name);
        let mut at = source.clone();
        for (number, to) in route.into_iter().enumerate() {
            let next = dir.path().join(number.to_string());
            let converted = Converter::new().to_named(to).fsync(false).convert(&at, &next);
            converted.unwrap_or_else(|error| panic!("{name} to {to}: {error}"));
            at = next;
        }
        python.run("same.py", &[source.to_str().expect("text"), at.to_str().expect("text")]);
    }
}
