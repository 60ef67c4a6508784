//! Checkpoints for the clauses: saved by three ranks, and compared byte by byte.

use std::borrow::Cow;
use std::sync::Arc;

use dcp_types::{
    ChunkList, Chunks, DType, Dest, DeviceMesh, DictKey, Digest, Entry, EntryKind, GlobalPlan, Metadata, OwnedTensor,
    Owners, Placement, PlanPart, Rank, RankSet, ReadItem, ReadWhat, Region, RegionDecl, SavePlan, Segment, Shape,
    ShardGrid, ShardingDecl, Source, StatePath, TensorDecl, TensorEntry, Value, ValueDecl, WriteItem, WriteWhat,
};

use super::Plug;
use crate::conformance::check::{Checked, Must, equal, noise, same_bytes};
use crate::{
    Found, Io, ReadReport, SaveToken, StorageError, StorageReader, StorageWriter, Verify, WriteResult, WriteSource,
};

pub(super) const RANKS: [Rank; 3] = [0, 1, 2];

/// A checkpoint that is told from any other by its seed. All seeds give the same structure.
pub(super) struct Sample {
    seed: u64,
    plan: GlobalPlan,
    /// By entry; `None` for values.
    tensors: Vec<Option<OwnedTensor>>,
    fault: Option<Fault>,
}

/// What a source does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is an error.
    Fails,
    /// It has one row less than was planned.
    IsShort,
}

impl Sample {
    /// Tensors, in chunks of all kinds.
    pub(super) fn new(seed: u64) -> Self {
        Self::made(seed, false)
    }

    /// The same, with values.
    pub(super) fn with_values(seed: u64) -> Self {
        Self::made(seed, true)
    }

    /// Tensors of which one has a source that does something wrong.
    pub(super) fn faulty(seed: u64, fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::new(seed) }
    }

    fn made(seed: u64, values: bool) -> Self {
        let shape = |dims: &[u64]| Shape::new(dims.iter().copied()).expect("a shape");
        let region = |offset: [u64; 2], sizes: [u64; 2]| Region::new(offset, sizes).expect("a region");
        let pinwheel = vec![
            region([0, 0], [1, 20]),
            region([0, 20], [2, 10]),
            region([2, 10], [1, 20]),
            region([1, 0], [2, 10]),
            region([1, 10], [1, 10]),
        ];
        let list = ChunkList::new(&shape(&[3, 30]), pinwheel).expect("tiles");
        let mesh = Arc::new(DeviceMesh::new([3]).expect("a mesh"));
        let grid = ShardGrid::new(shape(&[401, 400]), mesh, vec![Placement::Shard(0)]).expect("a grid");
        let tensors = [
            ("model.listed", DType::Float32, shape(&[3, 30]), Chunks::List(list), Owners::Each(vec![0, 1, 2, 1, 0])),
            ("model.sharded", DType::Int16, shape(&[401, 400]), Chunks::Grid(grid), Owners::Replica(0)),
            ("model.whole", DType::UInt8, shape(&[1001]), Chunks::Whole, Owners::One(1)),
            ("model.scalar", DType::Float64, shape(&[]), Chunks::Whole, Owners::One(2)),
            ("model.empty", DType::Float32, shape(&[0, 4]), Chunks::Whole, Owners::One(0)),
        ];
        let path = |name: &str| {
            let keys = name.split('.').map(|key| Segment::Key(DictKey::from(key)));
            StatePath::new(keys.collect())
        };
        let (mut entries, mut owners, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (name, dtype, shape, chunks, owner)) in tensors.into_iter().enumerate() {
            let mut tensor = OwnedTensor::zeros(dtype, shape.clone());
            let bytes = noise(seed * 100 + number as u64, tensor.bytes().len());
            tensor.bytes_mut().copy_from_slice(&bytes);
            contents.push(Some(tensor));
            entries.push(Entry { path: path(name), kind: EntryKind::Tensor(TensorEntry { dtype, shape, chunks }) });
            owners.push(owner);
        }
        for (name, owner) in [("step", 0), ("note", 2)].into_iter().filter(|_| values) {
            entries.push(Entry { path: path(name), kind: EntryKind::Value });
            owners.push(Owners::One(owner));
            contents.push(None);
        }
        let metadata = Metadata::new(entries).expect("distinct names");
        let plan = GlobalPlan::new(metadata, owners).expect("a plan");
        Self { seed, plan, tensors: contents, fault: None }
    }

    pub(super) fn metadata(&self) -> &Metadata {
        self.plan.metadata()
    }

    /// Bytes of all items.
    pub(super) fn nbytes(&self) -> u64 {
        let tensors = self.tensors.iter().flatten().map(|tensor| tensor.bytes().len() as u64).sum::<u64>();
        let values = (0..self.tensors.len()).filter(|&entry| self.tensors[entry].is_none());
        tensors + values.map(|entry| self.value(entry).encode().expect("encodes").len() as u64).sum::<u64>()
    }

    /// The value of an entry.
    pub(super) fn value(&self, entry: usize) -> Value {
        let name = self.metadata().entry(entry).map_or("?", |(fqn, _)| fqn.as_str());
        match name {
            "step" => Value::from(self.seed),
            _ => Value::List(vec![format!("{name} of {}", self.seed).as_str().into(), Value::None, 0.5.into()]),
        }
    }

    /// The bytes of a region of a tensor, row-major.
    pub(super) fn bytes(&self, entry: usize, region: &Region) -> Vec<u8> {
        let tensor = self.tensors[entry].as_ref().expect("a tensor");
        let part = tensor.view().expect("a view").slice(region).expect("inside");
        let mut bytes = vec![0; part.nbytes() as usize];
        part.read_at(0, &mut bytes).expect("inside");
        bytes
    }

    /// Every tensor: its entry and what the metadata says of it.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (usize, &TensorEntry)> {
        let entries = self.metadata().entries().enumerate();
        entries.filter_map(|(number, (_, entry))| Some((number, entry.as_tensor()?)))
    }

    /// What a rank declares.
    fn declared(&self, rank: Rank) -> SavePlan {
        let items = self.plan.items_of(rank);
        let (mut tensors, mut regions): (Vec<TensorDecl>, Vec<RegionDecl>) = Default::default();
        let mut values = Vec::new();
        for item in items {
            let Some((_, entry)) = self.metadata().entry(item.entry) else { continue };
            let path = entry.path.clone();
            match (&entry.kind, item.what) {
                (EntryKind::Tensor(tensor), WriteWhat::Chunk(chunk, _)) => {
                    let known = tensors.iter().position(|known| known.path == path);
                    let number = known.unwrap_or_else(|| {
                        let (dtype, shape) = (tensor.dtype, tensor.shape.clone());
                        tensors.push(TensorDecl { path, dtype, shape, sharding: ShardingDecl::Regions, tied: None });
                        tensors.len() - 1
                    });
                    regions.push(RegionDecl { tensor: number as u32, region: chunk.region });
                }
                _ => {
                    let encoded = self.value(item.entry).encode().expect("encodes");
                    values.push(ValueDecl { path, object: false, content: Digest::of(&encoded) });
                }
            }
        }
        let order = tensors.iter().map(|decl| decl.path.clone()).collect();
        SavePlan {
            meshes: PlanPart::new(Vec::new()).expect("encodes"),
            tensors: PlanPart::new(tensors).expect("encodes"),
            regions: PlanPart::new(regions).expect("encodes"),
            values: PlanPart::new(values).expect("encodes"),
            order,
        }
    }
}

impl WriteSource for Sample {
    fn source(&self, item: &WriteItem) -> Result<Source<'_>, StorageError> {
        let (fqn, _) = self.metadata().entry(item.entry).expect("an item of the plan");
        let is_sharded = fqn.as_str() == "model.sharded";
        if is_sharded && self.fault == Some(Fault::Fails) {
            return Err(StorageError::NoSource { fqn: fqn.clone(), source: "it is gone".into() });
        }
        match (&item.what, &self.tensors[item.entry]) {
            (WriteWhat::Chunk(chunk, _), Some(tensor)) => {
                let view = tensor.view().expect("a view");
                let region = if is_sharded && self.fault == Some(Fault::IsShort) {
                    chunk.region.split(0, chunk.region.end(0) - 1).0
                } else {
                    chunk.region.clone()
                };
                Ok(Source::View(view.slice(&region).expect("inside")))
            }
            _ => Ok(Source::Value(Cow::Owned(self.value(item.entry)))),
        }
    }
}

/// A save under way.
pub(super) struct Saving<'p> {
    plug: &'p dyn Plug,
    overwrite: bool,
    coordinator: Arc<dyn StorageWriter>,
    sample: Sample,
    pub(super) token: SaveToken,
    plan: GlobalPlan,
    results: Vec<(Rank, WriteResult)>,
}

impl<'p> Saving<'p> {
    pub(super) async fn begin(plug: &'p dyn Plug, sample: Sample, overwrite: bool) -> Result<Self, StorageError> {
        let coordinator = plug.writer(overwrite);
        for rank in RANKS {
            plug.writer(overwrite).prepare_local_plan(sample.declared(rank))?;
        }
        let plan = coordinator.prepare_global_plan(sample.plan.clone())?;
        let token = coordinator.begin(&RANKS.into_iter().collect::<RankSet>()).await?;
        Ok(Self { plug, overwrite, coordinator, sample, token, plan, results: Vec::new() })
    }

    /// Writes what a rank has, as that rank's process does.
    pub(super) async fn write(&mut self, rank: Rank) -> Result<(), StorageError> {
        let result = self.written(rank, &self.sample).await?;
        self.results.push((rank, result));
        Ok(())
    }

    pub(super) async fn written(&self, rank: Rank, source: &dyn WriteSource) -> Result<WriteResult, StorageError> {
        let writer = self.plug.writer(self.overwrite);
        writer.write_data(&self.token, &self.plan.of_rank(rank), source, &io()?).await
    }

    pub(super) async fn write_all(&mut self) -> Result<(), StorageError> {
        for rank in RANKS {
            self.write(rank).await?;
        }
        Ok(())
    }

    pub(super) fn take(&mut self, results: Vec<(Rank, WriteResult)>) {
        self.results = results;
    }

    pub(super) fn results(&self) -> &[(Rank, WriteResult)] {
        &self.results
    }

    pub(super) fn sample(&self) -> &Sample {
        &self.sample
    }

    pub(super) async fn finish(&self) -> Result<(), StorageError> {
        self.coordinator.finish(&self.token, &self.plan, &self.results, &io()?).await
    }

    pub(super) async fn abort(&self, ranks_stopped: bool) -> Result<(), StorageError> {
        self.coordinator.abort(&self.token, ranks_stopped).await
    }
}

/// Saves from beginning to end.
pub(super) async fn try_save(plug: &dyn Plug, sample: Sample, overwrite: bool) -> Result<(), StorageError> {
    let mut saving = Saving::begin(plug, sample, overwrite).await?;
    saving.write_all().await?;
    saving.finish().await
}

pub(super) async fn save(plug: &dyn Plug, sample: Sample, overwrite: bool) -> Checked {
    try_save(plug, sample, overwrite).await.must("a save with nothing in its way")
}

/// A checkpoint that is open.
pub(super) struct Opened {
    pub(super) reader: Arc<dyn StorageReader>,
    pub(super) found: Found,
}

impl Opened {
    pub(super) async fn at(plug: &dyn Plug) -> Result<Self, StorageError> {
        let reader = plug.reader();
        let found = reader.read_metadata(&io()?).await?;
        Ok(Self { reader, found })
    }

    /// What is to be read for a region of a tensor: one item for each chunk.
    pub(super) fn items(&self, name: &str, region: &Region) -> Checked<Vec<(ReadItem, Region)>> {
        let found = self.found.metadata.find(name);
        let (entry, tensor) = found
            .and_then(|(entry, leaf)| Some((entry, leaf.as_tensor()?)))
            .ok_or_else(|| format!("the metadata has no tensor {name}"))?;
        let item = |chunk: dcp_types::Chunk| {
            let part = chunk.region.intersect(region)?;
            Some((ReadItem { entry, what: ReadWhat::Region { chunk, region: part.clone() } }, part))
        };
        Ok(tensor.chunks_meeting(region).into_iter().filter_map(item).collect())
    }

    pub(super) async fn read(&self, items: Vec<(ReadItem, Dest<'_>)>) -> Result<ReadReport, StorageError> {
        self.reader.read_data(items, &io()?.with_verify(Verify::All)).await
    }

    /// Reads everything, and compares it with a sample. `Ok(Err(..))` is an error of the reader.
    pub(super) async fn compare(&self, sample: &Sample) -> Checked<Result<ReadReport, StorageError>> {
        let mut total = ReadReport::default();
        for (number, (fqn, entry)) in sample.metadata().entries().enumerate() {
            let Some(tensor) = entry.as_tensor() else {
                match self.value(fqn.as_str()).await? {
                    Ok((value, report)) => {
                        equal(&format!("the value {fqn}"), value, sample.value(number))?;
                        total += report;
                    }
                    Err(error) => return Ok(Err(error)),
                }
                continue;
            };
            let parts = self.items(fqn.as_str(), &Region::full(&tensor.shape))?;
            let mut buffers: Vec<OwnedTensor> = Vec::new();
            for (_, region) in &parts {
                let shape = Shape::new(region.sizes().iter().copied()).expect("part of a shape");
                let mut buffer = OwnedTensor::zeros(tensor.dtype, shape);
                // Whatever is not filled in differs from what was saved, zeros included.
                for (byte, expected) in buffer.bytes_mut().iter_mut().zip(sample.bytes(number, region)) {
                    *byte = !expected;
                }
                buffers.push(buffer);
            }
            let views = buffers.iter_mut().map(|buffer| Dest::Memory(buffer.view_mut().expect("a view")));
            let items = parts.iter().map(|(item, _)| item.clone()).zip(views).collect();
            match self.read(items).await {
                Ok(report) => total += report,
                Err(error) => return Ok(Err(error)),
            }
            for ((_, region), buffer) in parts.iter().zip(&buffers) {
                same_bytes(&format!("{region} of {fqn}"), buffer.bytes(), &sample.bytes(number, region))?;
            }
        }
        Ok(Ok(total))
    }

    pub(super) async fn value(&self, name: &str) -> Checked<Result<(Value, ReadReport), StorageError>> {
        let (entry, _) = self.found.metadata.find(name).ok_or_else(|| format!("the metadata has no value {name}"))?;
        // What is in the buffer before is none of the value.
        let mut encoded = vec![0xa5; 7];
        let item = ReadItem { entry, what: ReadWhat::Value };
        let read = self.read(vec![(item, Dest::Value(&mut encoded))]).await;
        Ok(read.and_then(|report| Ok((self.reader.decode_value(entry, encoded.into())?, report))))
    }
}

/// The place holds this checkpoint, whole.
pub(super) async fn holds(plug: &dyn Plug, seed: u64) -> Checked {
    let opened = Opened::at(plug).await.must("read_metadata of a checkpoint that is there")?;
    let has_values = opened.found.metadata.find("step").is_some();
    let sample = if has_values { Sample::with_values(seed) } else { Sample::new(seed) };
    opened.compare(&sample).await?.must("read_data of all that was saved").map(drop)
}

/// The place holds no checkpoint.
pub(super) async fn lacks(plug: &dyn Plug) -> Checked {
    match Opened::at(plug).await {
        Err(StorageError::NoCheckpoint { .. }) => Ok(()),
        Err(other) => Err(format!("read_metadata where no checkpoint is should be NoCheckpoint, but gave {other:?}")),
        Ok(opened) => Err(format!("no checkpoint should be there, but one was found: {:?}", opened.found)),
    }
}

pub(super) fn io() -> Result<Io<'static>, StorageError> {
    Ok(Io::new()?.with_threads(2))
}
