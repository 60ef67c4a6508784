//! Who writes what of the destination: planned as a save by that many ranks is, from what they would have declared.

use std::collections::{BTreeSet, HashMap};

use dcp_default_planner::DefaultSavePlanner;
use dcp_planner::{Declared, PlanContext, SavePlanner};
use dcp_types::{
    Chunk, Chunks, DType, DeviceMesh, Digest, Fqn, GlobalPlan, PlanPart, Rank, RankSet, RegionDecl, SavePlan,
    ShardingDecl, TensorDecl, TensorEntry, ValueDecl,
};

use super::resharding::Resharding;
use super::select::Chosen;
use crate::{Checkpoint, Error};

/// What is to be written, by ranks that there are only in the plan.
pub(super) struct Planned {
    pub(super) plan: GlobalPlan,
    /// Which entry of the source each entry of the plan is.
    pub(super) origins: Vec<usize>,
    /// The ranks of the plan.
    pub(super) ranks: RankSet,
    /// Stands for all of this.
    pub(super) digest: Digest,
}

/// How tensors are to be cut.
pub(super) enum Cutting<'a> {
    /// Not at all: each of so many ranks writes whole tensors.
    Whole(u32),
    /// As they are in the source, spread over at least so many ranks.
    Kept(u32),
    /// Anew.
    Resharded(&'a Resharding),
}

/// A mesh of more ranks is no mesh of a job that there was: what lies over it is taken chunk by chunk.
const LARGEST_MESH: u64 = 1 << 16;

/// Plans for the chosen entries. `values` are what is known of those that are values, in order; `ties` says which are other names of which.
pub(super) fn plan(
    source: &Checkpoint,
    chosen: &[Chosen],
    values: Vec<ValueDecl>,
    ties: &HashMap<usize, usize>,
    dtype: impl Fn(DType) -> DType,
    cutting: &Cutting<'_>,
) -> Result<Planned, Error> {
    let (meshes, tensors, regions, numbers) = Default::default();
    let mut declaring = Declaring { cutting, ties, meshes, tensors, regions, numbers };
    for chosen in chosen {
        let entry = source.metadata().entry(chosen.entry).map(|(_, entry)| entry);
        if let Some(tensor) = entry.and_then(|entry| entry.as_tensor()) {
            declaring.tensor(chosen, tensor, dtype(tensor.dtype))?;
        }
    }
    let ranks = declaring.ranks();
    let plan = SavePlan {
        meshes: PlanPart::new(declaring.meshes)?,
        tensors: PlanPart::new(declaring.tensors)?,
        regions: PlanPart::new(declaring.regions)?,
        values: PlanPart::new(values)?,
        order: chosen.iter().map(|chosen| chosen.path.clone()).collect(),
    };
    let parts = [plan.meshes.digest(), plan.tensors.digest(), plan.regions.digest(), plan.values.digest()];
    let digest = Digest::of(format!("{parts:?} {ranks:?} {chosen:?}").as_bytes());
    let coordinator = ranks.first().unwrap_or(0);
    let ctx = PlanContext { rank: coordinator, coordinator, ranks: ranks.clone() };
    let plan = DefaultSavePlanner::new().global_plan(&[Declared { ranks: ranks.clone(), plan }], &ctx)?;
    let origins = origins(&plan, chosen);
    Ok(Planned { plan, origins, ranks, digest })
}

/// The entries of the source by number in the plan.
fn origins(plan: &GlobalPlan, chosen: &[Chosen]) -> Vec<usize> {
    let of_name: HashMap<Fqn, usize> = chosen.iter().map(|chosen| (chosen.path.fqn(), chosen.entry)).collect();
    plan.metadata().entries().map(|(fqn, _)| of_name[fqn]).collect()
}

/// What all ranks declare: the same, so that each chunk goes to the one that has least.
struct Declaring<'a> {
    cutting: &'a Cutting<'a>,
    ties: &'a HashMap<usize, usize>,
    meshes: Vec<DeviceMesh>,
    tensors: Vec<TensorDecl>,
    regions: Vec<RegionDecl>,
    /// Which of the tensors an entry of the source is.
    numbers: HashMap<usize, u32>,
}

impl Declaring<'_> {
    fn tensor(&mut self, chosen: &Chosen, tensor: &TensorEntry, dtype: DType) -> Result<(), Error> {
        let (path, shape) = (chosen.path.clone(), tensor.shape.clone());
        let number = self.tensors.len() as u32;
        let sharding = match (self.cutting, &tensor.chunks) {
            (Cutting::Resharded(resharding), _) => {
                let fqn = path.fqn();
                let placements = resharding.placements(&fqn, &shape);
                resharding.check(&fqn, &shape, &placements)?;
                ShardingDecl::Mesh(self.mesh(&resharding.mesh), placements.into())
            }
            (Cutting::Kept(_), Chunks::Grid(grid)) if grid.mesh().size() <= LARGEST_MESH => {
                ShardingDecl::Mesh(self.mesh(grid.mesh()), grid.shared_placements())
            }
            (Cutting::Kept(_), Chunks::Grid(_) | Chunks::List(_)) => {
                let region = |chunk: Chunk| RegionDecl { tensor: number, region: chunk.region };
                self.regions.extend(tensor.all_chunks().map(region));
                ShardingDecl::Regions
            }
            _ => ShardingDecl::Replicated,
        };
        let tied = match sharding {
            ShardingDecl::Regions => None,
            _ => self.ties.get(&chosen.entry).and_then(|first| self.numbers.get(first)).copied(),
        };
        self.numbers.insert(chosen.entry, number);
        self.tensors.push(TensorDecl { path, dtype, shape, sharding, tied });
        Ok(())
    }

    /// The number of a mesh, of which there are few.
    fn mesh(&mut self, mesh: &DeviceMesh) -> u32 {
        let known = self.meshes.iter().position(|known| known == mesh);
        let number = known.unwrap_or_else(|| {
            self.meshes.push(mesh.clone());
            self.meshes.len() - 1
        });
        number as u32
    }

    /// All ranks that are needed.
    fn ranks(&self) -> RankSet {
        let of_meshes = self.meshes.iter().flat_map(DeviceMesh::ranks);
        match self.cutting {
            Cutting::Whole(count) => (0..*count).collect(),
            Cutting::Kept(count) => of_meshes.chain(0..*count).collect::<BTreeSet<Rank>>().into_iter().collect(),
            // All of them, also if there are only values.
            Cutting::Resharded(resharding) => resharding.mesh.ranks().collect(),
        }
    }
}

/// How many ranks keep what is written in files of the sizes of the source's, and so many jobs at work.
pub(super) fn ranks_for(files: usize, jobs: usize, items: u64) -> u32 {
    let most = u32::try_from(items.max(1)).unwrap_or(u32::MAX).min(LARGEST_MESH as u32);
    u32::try_from(files.max(jobs)).unwrap_or(u32::MAX).clamp(1, most)
}
