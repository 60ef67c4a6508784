//! Makes the seeds of the fuzz targets: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.

use std::path::Path;
use std::sync::Arc;

use dcp::crates::dcp_storage::{Io, ReadRange, Store, StorePath};
use dcp::crates::dcp_types::{BufferPlace, TensorValue, Typed};
use dcp::{
    Collective, DType, DeviceMesh, DictKey, HeldPart, LocalTensor, MemoryStore, NativeFormat, Placement, Region, Saver,
    Shape, StateDict, TensorSpec, ThreadGroup, Value, View,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (name, ranks, files) in
        [("values", 1, 1), ("tensors", 1, 2), ("mesh", 4, 1), ("strided", 4, 1), ("regions", 2, 1)]
    {
        let store = MemoryStore::new();
        for outcome in ThreadGroup::run(ranks, |rank| save(name, &rank, files, &store)) {
            outcome.expect("no rank panics")?;
        }
        let index = read(&store, "index.dcp")?;
        let data = read(&store, "__0_0.distcp")?;
        write(&root.join("native_index").join(name), &index)?;
        let body = &index[32..index.len() - 16];
        write(&root.join("native_checkpoint").join(name), &dcp_fuzz::join(body, &data))?;
    }
    torch(&root)?;
    for (name, value) in values()? {
        write(&root.join("value").join(name), &value.encode()?)?;
    }
    Ok(())
}

/// Checkpoints of PyTorch, sound and hostile ones, as far as they are small.
fn torch(root: &Path) -> Result<()> {
    let fixtures = root.join("../../tests/fixtures");
    for case in
        ["torch/01_noflatten", "torch/02_dtypes", "torch/05_fsdp2_w2", "torch/22_zstd", "torch/21_safetensors_fmt"]
    {
        seeds_of(root, &fixtures.join(case))?;
    }
    for case in std::fs::read_dir(fixtures.join("torch-hostile"))? {
        seeds_of(root, &case?.path())?;
    }
    for file in ["torch/26_objects/zip4.pt", "torch-hostile/h116_torchsave_unknown_class/model.pt"] {
        file_seeds(root, &fixtures.join(file))?;
    }
    file_seeds(root, &fixtures.join("torch-hostile/h117_torchsave_legacy_huge/model.pt"))
}

/// The largest input that the fuzzer takes.
const MOST: usize = 16 << 10;

fn seeds_of(root: &Path, case: &Path) -> Result<()> {
    let Some(name) = case.file_name().map(|name| name.to_string_lossy()) else { return Ok(()) };
    let index = std::fs::read(case.join(".metadata")).unwrap_or_default();
    let data = std::fs::read(case.join("__0_0.distcp")).unwrap_or_default();
    if (1..8 << 10).contains(&index.len()) {
        write(&root.join("torch_pickle").join(&*name), &index)?;
        if index.len() + data.len() < MOST {
            write(&root.join("torch_checkpoint").join(&*name), &dcp_fuzz::join(&index, &data))?;
        }
    }
    // The first archive of a file; most cases share it.
    let end = data.windows(4).position(|window| window == b"PK\x05\x06");
    if let Some(archive) = end
        .and_then(|end| data.get(..end + 22))
        .filter(|_| name.contains("pkl") || name.contains("zip") || name.starts_with("0"))
    {
        write(&root.join("torch_archive").join(&*name), archive)?;
    }
    Ok(())
}

/// A file that holds a state: as it is, and its pickle.
fn file_seeds(root: &Path, file: &Path) -> Result<()> {
    let bytes = std::fs::read(file)?;
    let Some(name) = file.parent().and_then(Path::file_name).map(|name| name.to_string_lossy()) else { return Ok(()) };
    write(&root.join("torch_archive").join(&*name), &bytes)?;
    // Where it is padded, a pickle follows.
    match bytes.windows(3).position(|window| window == b"Z\x80\x02" || window == b"Z\x80\x04") {
        Some(start) => write(&root.join("torch_pickle").join(&*name), &bytes[start + 1..]),
        None => Ok(()),
    }
}

fn save(name: &str, rank: &dyn Collective, files: u32, store: &MemoryStore) -> Result<()> {
    let saver = Saver::new().group(rank).format(NativeFormat::new().files_per_rank(files));
    let position = u32::try_from(rank.rank())?;
    match name {
        "values" => {
            let state = values()?.into_iter().collect::<StateDict<'_>>();
            saver.save_dict(&StateDict::new().with("values", state).with("list", vec![1, 2, 3]), store.clone())?;
        }
        "tensors" => {
            let (a, b) = (ndarray::Array2::<f32>::ones((3, 5)), ndarray::Array1::<u8>::zeros(7));
            let (scalar, empty) = (ndarray::arr0(2.5f64), ndarray::Array2::<i16>::zeros((0, 4)));
            let state = StateDict::new()
                .with("a", LocalTensor::whole(a.view().into_dyn())?)
                .with("b", LocalTensor::whole(b.view().into_dyn())?)
                .with("empty", LocalTensor::whole(empty.view().into_dyn())?)
                .with("scalar", LocalTensor::whole(scalar.view().into_dyn())?);
            saver.save_dict(&state, store.clone())?;
        }
        "mesh" | "strided" => {
            let mesh = Arc::new(DeviceMesh::new([2, 2])?.with_names(["dp", "tp"])?);
            let placements = match name {
                "mesh" => [[Placement::Shard(0), Placement::Replicate], [Placement::Shard(1), Placement::Shard(0)]],
                _ => {
                    let strided = |split_factor| Placement::StridedShard { dim: 0, split_factor };
                    [[strided(2), Placement::Shard(0)], [strided(3), Placement::Replicate]]
                }
            };
            let [first, second] =
                placements.map(|placements| TensorSpec::sharded(DType::Int16, [9, 4], &mesh, placements));
            let (first, second) = (first?, second?);
            let bytes = [&first, &second].map(|spec| {
                let elements: u64 = spec.local_shape(position).into_iter().flatten().product();
                vec![position as u8; elements as usize * 2]
            });
            let local = |spec: &TensorSpec, bytes| -> Result<_> {
                let shape = spec.local_shape(position).unwrap_or_default();
                Ok(LocalTensor::new(spec.clone(), View::from_bytes(DType::Int16, &shape, bytes)?))
            };
            let state = StateDict::new().with("x", local(&first, &bytes[0])?).with("y", local(&second, &bytes[1])?);
            saver.save_dict(&state.with("step", 9), store.clone())?;
        }
        _ => {
            let row = u64::from(position) * 2;
            let part = HeldPart { region: Region::new([row, 0], [2, 3])?, place: BufferPlace::Flat(0) };
            let spec = TensorSpec::regions(DType::UInt8, [4, 3], [part])?;
            let view = View::from_bytes(DType::UInt8, &[6], &[7; 6])?;
            saver.save_dict(&StateDict::new().with("flat", LocalTensor::new(spec, view)), store.clone())?;
        }
    }
    Ok(())
}

fn values() -> Result<Vec<(&'static str, Value)>> {
    let tensor = TensorValue::new(DType::Int16, Shape::new([2])?, vec![1, 0, 2, 0])?;
    let dict = vec![(DictKey::Int(3), Value::None), (DictKey::from("lr"), Value::Float(1e-3))];
    Ok(vec![
        ("none", Value::None),
        ("bool", true.into()),
        ("int", (-7i64).into()),
        ("uint", u64::MAX.into()),
        ("complex", Value::Complex(0.5, -1.0)),
        ("str", "epoch".into()),
        ("bytes", vec![0u8, 255].into()),
        ("list", Value::List(vec![1.into(), Value::Tuple(vec![2.into(), "x".into()])])),
        ("dict", Value::Dict(dict)),
        ("typed", Typed::new(Typed::TORCH_SIZE, Value::Tuple(vec![2.into(), 3.into()])).into()),
        ("tensor", tensor.into()),
    ])
}

fn read(store: &MemoryStore, name: &str) -> Result<Vec<u8>> {
    let (path, io) = (StorePath::parse(name)?, Io::new()?);
    let mut bytes = vec![0; io.block_on(store.head(&path))?.size as usize];
    io.block_on(store.read(&path, &mut [ReadRange { offset: 0, buffer: &mut bytes }]))?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    Ok(std::fs::write(path, bytes)?)
}
