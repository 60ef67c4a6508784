//! What the ranks have: a model of a few kinds of tensors, without memory.

use std::sync::Arc;

use dcp::crates::dcp_types::{Chunks, Rank, TensorEntry};
use dcp::{
    BufferPlace, DType, DataSource, DeviceMesh, HeldPart, LocalTensor, Placement, Region, StateDict, TensorSpec,
    TypesError,
};

/// Tensors over a mesh of two dimensions, or cut at will.
pub(super) struct Model {
    tensors: usize,
    explicit: bool,
    mesh: Arc<DeviceMesh>,
    /// The sizes of the mesh's dimensions.
    data: u32,
    tensor: u32,
}

impl Model {
    pub(super) fn new(ranks: u32, tensors: usize, explicit: bool) -> Result<Self, TypesError> {
        // As many as are often connected best, if that divides the ranks.
        let tensor = 1 << ranks.trailing_zeros().min(3);
        let data = ranks / tensor;
        let mesh = Arc::new(DeviceMesh::new([data, tensor])?.with_names(["data", "tensor"])?);
        Ok(Self { tensors, explicit, mesh, data, tensor })
    }

    pub(super) fn ranks(&self) -> u32 {
        self.data * self.tensor
    }

    pub(super) fn tensors(&self) -> usize {
        self.tensors
    }

    pub(super) fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// How many parts of a tensor ranks declare.
    pub(super) fn shards_of(&self, tensor: &TensorEntry) -> u64 {
        match &tensor.chunks {
            Chunks::List(list) => list.regions().len() as u64,
            _ => u64::from(self.ranks()),
        }
    }

    /// What one rank saves: its parts of every tensor, some values, and one of its own.
    pub(super) fn state(&self, rank: Rank) -> Result<StateDict<'static>, TypesError> {
        let mut model = StateDict::new();
        for number in 0..self.tensors {
            model.insert(name(number), self.part(number, rank)?);
        }
        let loader = StateDict::new().with(format!("rank_{rank}"), i64::from(rank));
        Ok(StateDict::new().with("model", model).with("step", 100).with("loader", loader))
    }

    fn part(&self, number: usize, rank: Rank) -> Result<LocalTensor<'static>, TypesError> {
        let spec = if self.explicit { self.cut(number, rank)? } else { self.sharded(number)? };
        let shape = spec.local_shape(rank).unwrap_or_else(|| {
            let elements = spec.parts(rank).iter().map(|part| part.region.numel()).sum();
            vec![elements]
        });
        let dtype = spec.dtype();
        Ok(LocalTensor::lazy(spec, Hollow { dtype, shape }))
    }

    /// Matrices are sharded over both dimensions of the mesh (FSDP over tensor parallelism), vectors over the first alone; a few tensors are replicated.
    fn sharded(&self, number: usize) -> Result<TensorSpec, TypesError> {
        use Placement::{Replicate, Shard, StridedShard};
        let (rows, length) = (u64::from(self.data) * 32, u64::from(self.data) * 64);
        match number % 10 {
            0 => TensorSpec::sharded(DType::Float32, [16_384], &self.mesh, [Replicate, Replicate]),
            1 | 2 => TensorSpec::sharded(DType::Float32, [length], &self.mesh, [Shard(0), Replicate]),
            _ => {
                let strided = StridedShard { dim: 0, split_factor: self.tensor };
                TensorSpec::sharded(DType::BFloat16, [rows, 4096], &self.mesh, [strided, Shard(0)])
            }
        }
    }

    /// Vectors and some matrices are dealt out in runs of rows, one or two for each rank; of the other matrices each rank has a box.
    fn cut(&self, number: usize, rank: Rank) -> Result<TensorSpec, TypesError> {
        let (ranks, rank) = (u64::from(self.ranks()), u64::from(rank));
        let (shape, boxes) = match number % 10 {
            0 => (vec![64 * ranks], vec![([64 * rank].to_vec(), [64].to_vec())]),
            1 => {
                // A run from the front and one from the back, so that no rank's are all alike.
                let run = |at: u64| ([4 * at, 0].to_vec(), [4, 512].to_vec());
                (vec![8 * ranks, 512], vec![run(rank), run(2 * ranks - 1 - rank)])
            }
            2 => (vec![8 * ranks, 512], vec![([8 * rank, 0].to_vec(), [8, 512].to_vec())]),
            _ => {
                let (columns, across) = (4096 / u64::from(self.tensor), u64::from(self.tensor));
                let at = [32 * (rank / across), columns * (rank % across)];
                (vec![32 * u64::from(self.data), 4096], vec![(at.to_vec(), [32, columns].to_vec())])
            }
        };
        let mut start = 0;
        let parts = boxes.into_iter().map(|(offsets, sizes)| {
            let region = Region::new(offsets, sizes)?;
            let place = BufferPlace::Flat(start);
            start += region.numel();
            Ok(HeldPart { region, place })
        });
        let parts = parts.collect::<Result<Vec<_>, TypesError>>()?;
        TensorSpec::regions(if number % 10 < 3 { DType::Float32 } else { DType::BFloat16 }, shape, parts)
    }
}

/// The name of a tensor within the model.
pub(super) fn name(number: usize) -> String {
    format!("layers.{number}.weight")
}

/// A part without memory: planning reads nothing.
struct Hollow {
    dtype: DType,
    shape: Vec<u64>,
}

impl DataSource for Hollow {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> Vec<u64> {
        self.shape.clone()
    }

    fn read_at(&self, _offset: u64, _out: &mut [u8]) -> Result<(), dcp::crates::dcp_types::DataError> {
        Err("it has no memory".into())
    }
}
