//! Plans a save for many ranks, encodes its index, opens it again and plans one rank's load; all ranks in one process.
//!
//! `cargo run --release -p dcp-benches --bin planning -- [--ranks 16384] [--tensors 1000]`
//!
//! Nothing is special about these ranks: each flattens its state, makes its local plan and its digests, as it would on its own.
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use clap::Parser;
use dcp::crates::dcp_planner::{Declared, PlanContext};
use dcp::crates::dcp_storage::{Segment, WrittenFile, WrittenSegment};
use dcp::crates::dcp_types::{
    DataError, Digest, FlatState, FlatTarget, GlobalPlan, Rank, RankSet, SavePlan, WriteWhat, flatten_state,
    flatten_target,
};
use dcp::{
    DType, DataSource, DefaultLoadPlanner, DefaultSavePlanner, DeviceMesh, Format, LoadPlanner, LocalTensor,
    MemoryStore, NativeFormat, Placement, SavePlanner, StateDict, StateTarget, TargetTensor, TensorSpec, ViewMut,
};

/// Measures planning.
#[derive(Debug, Parser)]
struct Args {
    /// How many ranks save, in a mesh of RANKS/8 x 8.
    #[arg(long, default_value_t = 16_384)]
    ranks: u32,
    /// How many tensors the state has.
    #[arg(long, default_value_t = 1000)]
    tensors: usize,
    /// How many ranks the loading mesh has.
    #[arg(long, default_value_t = 12_288)]
    load_ranks: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let ranks: RankSet = (0..args.ranks).collect();
    let specs = specs(args.tensors, args.ranks / 8)?;
    let planner = DefaultSavePlanner::new();
    let ctx = |rank| PlanContext { rank, ranks: ranks.clone(), coordinator: 0 };
    println!("{} ranks x {} tensors = {} shards", args.ranks, args.tensors, args.ranks as usize * args.tensors);
    let total = Instant::now();

    let start = Instant::now();
    let declared = declare(&specs, &planner, &args, &ctx)?;
    println!("local plans, all ranks      {:>8.2} s  ({} distinct)", start.elapsed().as_secs_f64(), declared.len());

    let start = Instant::now();
    let plan = planner.global_plan(&declared, &ctx(0))?;
    println!("global plan                 {:>8.2} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let wire = rmp_size(&plan)?;
    println!("plan as it is sent          {:>8.2} s  {:.2} MB", start.elapsed().as_secs_f64(), wire as f64 / 1e6);

    let start = Instant::now();
    let format = NativeFormat::new();
    let summaries = summaries(&format, &plan, args.ranks)?;
    println!("file layouts, all ranks     {:>8.2} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let index = format.encode_index(&plan, &summaries, 0)?;
    println!(
        "index                       {:>8.2} s  {:.2} MB",
        start.elapsed().as_secs_f64(),
        index.len() as f64 / 1e6
    );
    println!("saving, in all              {:>8.2} s", total.elapsed().as_secs_f64());

    let start = Instant::now();
    let (reader, io) = open(&format, &index)?;
    use dcp::StorageReader as _;
    let found = io.block_on(reader.read_metadata(&io))?;
    println!("opening the index           {:>8.2} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let reads = load_plan(&found.metadata, args.tensors, args.load_ranks)?;
    println!("one rank's load plan        {:>8.2} s  ({reads} reads)", start.elapsed().as_secs_f64());
    println!("peak memory                 {:>8} MiB", peak_mib());
    Ok(())
}

/// A model over a (data, tensor) mesh: matrices by FSDP over tensor parallelism, vectors by data alone, a few replicated.
fn specs(tensors: usize, data: u32) -> Result<Vec<TensorSpec>, Box<dyn Error>> {
    let mesh = Arc::new(DeviceMesh::new([data, 8])?.with_names(["data", "tensor"])?);
    let spec = |number: usize| match number % 10 {
        0 => TensorSpec::sharded(DType::Float32, [16_384], &mesh, [Placement::Replicate, Placement::Replicate]),
        1 | 2 => TensorSpec::sharded(DType::Float32, [65_536], &mesh, [Placement::Shard(0), Placement::Replicate]),
        _ => {
            let strided = Placement::StridedShard { dim: 0, split_factor: 8 };
            TensorSpec::sharded(DType::BFloat16, [65_536, 4096], &mesh, [strided, Placement::Shard(0)])
        }
    };
    Ok((0..tensors).map(spec).collect::<Result<_, _>>()?)
}

/// Ranks that declare the same.
type Group = (Vec<Rank>, SavePlan);

/// Every rank declares what it has; equal declarations are kept once, as the coordinator would.
fn declare(
    specs: &[TensorSpec],
    planner: &DefaultSavePlanner,
    args: &Args,
    ctx: &(dyn Fn(Rank) -> PlanContext + Sync),
) -> Result<Vec<Declared>, Box<dyn Error>> {
    let groups: Mutex<HashMap<[Digest; 4], Group>> = Mutex::default();
    let parts: Mutex<HashMap<Digest, SavePlan>> = Mutex::default();
    on_all_cores(args.ranks, &|rank| {
        let state = state(specs, rank).map_err(|error| error.to_string())?;
        let mut plan = planner.local_plan(&state, &ctx(rank)).map_err(|error| error.to_string())?;
        let digests = [plan.meshes.digest(), plan.tensors.digest(), plan.regions.digest(), plan.values.digest()];
        let mut parts = parts.lock().map_err(|error| error.to_string())?;
        let known = parts.entry(digests[1]).or_insert_with(|| plan.clone());
        plan.tensors = known.tensors.clone();
        plan.meshes = known.meshes.clone();
        drop(parts);
        let mut groups = groups.lock().map_err(|error| error.to_string())?;
        groups.entry(digests).or_insert_with(|| (Vec::new(), plan)).0.push(rank);
        Ok(())
    })?;
    let groups = groups.into_inner()?;
    let mut declared: Vec<Declared> =
        groups.into_values().map(|(ranks, plan)| Declared { ranks: ranks.into_iter().collect(), plan }).collect();
    declared.sort_by_key(|group| group.ranks.first());
    Ok(declared)
}

/// What one rank has: its shards of every tensor, some shared values, and one of its own.
fn state(specs: &[TensorSpec], rank: Rank) -> Result<FlatState<'static>, Box<dyn Error>> {
    let mut model = StateDict::new();
    for (number, spec) in specs.iter().enumerate() {
        let shard = Shard { dtype: spec.dtype(), shape: spec.local_shape(rank).unwrap_or_default() };
        model.insert(format!("layers.{number}.weight"), LocalTensor::lazy(spec.clone(), shard));
    }
    let loader = StateDict::new().with(format!("rank_{rank}"), i64::from(rank));
    let state = StateDict::new().with("model", model).with("step", 100).with("loader", loader);
    Ok(flatten_state(state)?)
}

/// A shard without memory: planning needs none.
struct Shard {
    dtype: DType,
    shape: Vec<u64>,
}

impl DataSource for Shard {
    fn dtype(&self) -> DType {
        self.dtype
    }
    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }
    fn read_at(&self, _offset: u64, _out: &mut [u8]) -> Result<(), DataError> {
        Err("planning reads nothing".into())
    }
}

/// What every rank would report of its files after writing them.
fn summaries(format: &NativeFormat, plan: &GlobalPlan, ranks: Rank) -> Result<Vec<(Rank, Bytes)>, Box<dyn Error>> {
    let all: Mutex<Vec<(Rank, Bytes)>> = Mutex::default();
    on_all_cores(ranks, &|rank| {
        let summary = summary(format, plan, rank).map_err(|error| error.to_string())?;
        all.lock().map_err(|error| error.to_string())?.push((rank, summary));
        Ok(())
    })?;
    Ok(all.into_inner()?)
}

fn summary(format: &NativeFormat, plan: &GlobalPlan, rank: Rank) -> Result<Bytes, dcp::StorageError> {
    let mut files = Vec::new();
    for layout in format.lay_out(plan, rank, 0)? {
        let (mut size, mut segments) = (0u64, Vec::new());
        for segment in layout.segments {
            match segment {
                Segment::Align(to) => size = size.next_multiple_of(to),
                Segment::Item { item, checksum_block } => {
                    let length = if let WriteWhat::Chunk(_, bytes) = item.what { bytes } else { 9 };
                    let checksums = vec![0; length.div_ceil(checksum_block) as usize];
                    segments.push(WrittenSegment { offset: size, length, item: Some(item), checksums });
                    size += length;
                }
                _ => {}
            }
        }
        size += 4 * segments.iter().map(|segment| segment.checksums.len() as u64).sum::<u64>();
        files.push(WrittenFile { path: layout.path, size, segments });
    }
    format.summarise(&files)
}

/// Does the work of every rank.
fn on_all_cores(ranks: Rank, work: &(dyn Fn(Rank) -> Result<(), String> + Sync)) -> Result<(), String> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let share = |thread: usize| (thread as u32..ranks).step_by(threads).try_for_each(work);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a thread panicked".to_owned())?)
    })
}

type Opened = (dcp::ComposedReader, dcp::crates::dcp_storage::Io<'static>);

fn open(format: &NativeFormat, index: &[u8]) -> Result<Opened, Box<dyn Error>> {
    use dcp::StorageReader as _;
    use dcp::crates::dcp_storage::{Io, Precondition, Store as _};
    let io = Io::new()?;
    let store = MemoryStore::new();
    io.block_on(store.publish(&format.index_path(), index, Precondition::None))?;
    let reader = dcp::ComposedReader::new(Arc::new(format.clone()), Arc::new(store));
    io.block_on(reader.read_metadata(&io))?;
    Ok((reader, io))
}

/// The plan of a rank in the middle of another mesh.
fn load_plan(metadata: &dcp::Metadata, tensors: usize, ranks: u32) -> Result<usize, Box<dyn Error>> {
    let mesh = Arc::new(DeviceMesh::new([ranks])?);
    let rank = ranks / 2;
    let mut buffers = Vec::with_capacity(tensors);
    for number in 0..tensors {
        let tensor = metadata.tensor(&format!("model.layers.{number}.weight")).ok_or("a tensor is missing")?;
        let spec = TensorSpec::sharded(tensor.dtype, &tensor.shape, &mesh, [Placement::Shard(0)])?;
        let shape = spec.local_shape(rank).unwrap_or_default();
        let bytes = vec![0u8; (shape.iter().product::<u64>() * tensor.dtype.size()) as usize];
        buffers.push((spec, shape, bytes));
    }
    let mut model = StateTarget::new();
    for (number, (spec, shape, bytes)) in buffers.iter_mut().enumerate() {
        let view = ViewMut::from_bytes(spec.dtype(), shape, bytes)?;
        model.insert(format!("layers.{number}.weight"), TargetTensor::new(spec.clone(), view));
    }
    let target: FlatTarget<'_> = flatten_target(StateTarget::new().with("model", model))?;
    let ctx = PlanContext { rank, ranks: (0..ranks).collect(), coordinator: 0 };
    let plan = DefaultLoadPlanner::new().partial().local_plan(metadata, &target, &ctx)?;
    Ok(plan.tensors.iter().flat_map(|tensor| &tensor.parts).map(|part| part.reads.len()).sum())
}

fn rmp_size(plan: &GlobalPlan) -> Result<usize, Box<dyn Error>> {
    Ok(rmp_serde::to_vec_named(plan)?.len())
}

/// The most memory that this process has had (Linux).
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
