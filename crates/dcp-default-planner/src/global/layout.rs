//! How each leaf is cut into chunks, and which ranks could write each.

use std::collections::HashMap;
use std::rc::Rc;

use dcp_planner::PlanError;
use dcp_types::{
    ChunkList, Chunks, DType, Fqn, Placement, Rank, RankSet, Region, Shape, ShardGrid, TensorEntry, TypesError,
};

use super::classes::Classes;
use super::merge::{Layout, Leaf, What};
use super::meshes::Meshes;
use super::table::Table;

pub(super) enum Placed<'a> {
    Value { object: bool, rank: Rank },
    Tensor(PlacedTensor<'a>),
}

pub(super) struct PlacedTensor<'a> {
    pub(super) fqn: &'a Fqn,
    pub(super) dtype: DType,
    pub(super) shape: &'a Shape,
    pub(super) chunks: Candidates,
}

/// The chunks of a tensor, and who could write them: by the positions of ranks, ascending.
pub(super) enum Candidates {
    Whole(Rc<[u32]>),
    Grid(ShardGrid, Rc<Table>),
    List(ChunkList, Vec<Rc<[u32]>>),
}

impl PlacedTensor<'_> {
    pub(super) fn into_entry(self) -> TensorEntry {
        let chunks = match self.chunks {
            Candidates::Whole(_) => Chunks::Whole,
            Candidates::Grid(grid, _) => Chunks::Grid(grid),
            Candidates::List(list, _) => Chunks::List(list),
        };
        TensorEntry { dtype: self.dtype, shape: self.shape.clone(), chunks }
    }
}

pub(super) fn place<'a>(leaves: &'a [Leaf<'_>], classes: &Classes<'_>) -> Result<Vec<Placed<'a>>, PlanError> {
    let mut placing =
        Placing { classes, meshes: Meshes::default(), tables: HashMap::new(), positions: Default::default() };
    leaves.iter().map(|leaf| placing.leaf(leaf)).collect()
}

/// What is computed once for many leaves.
struct Placing<'c, 'd> {
    classes: &'c Classes<'d>,
    meshes: Meshes,
    /// By the number of the mesh, and by which of its dimensions replicate.
    tables: HashMap<(usize, Vec<bool>), Rc<Table>>,
    /// The positions of the ranks of several classes together, by the part that they are classes of.
    positions: [HashMap<Vec<usize>, Rc<[u32]>>; 2],
}

/// Which classes numbers refer to.
#[derive(Clone, Copy)]
enum Part {
    Tensors,
    Regions,
}

impl Placing<'_, '_> {
    fn leaf<'a>(&mut self, leaf: &'a Leaf<'_>) -> Result<Placed<'a>, PlanError> {
        let (dtype, shape, layout) = match &leaf.what {
            What::Value { object, .. } => return Ok(Placed::Value { object: *object, rank: leaf.rank }),
            What::Tensor { dtype, shape, layout, .. } => (*dtype, *shape, layout),
        };
        let fqn = &leaf.fqn;
        let chunks = match layout {
            Layout::Replicated(classes) => Candidates::Whole(self.positions(Part::Tensors, classes)),
            Layout::Mesh(placements, uses) => self.grid(fqn, shape, placements, uses)?,
            Layout::Regions(held) => self.list(fqn, shape, held)?,
        };
        Ok(Placed::Tensor(PlacedTensor { fqn, dtype, shape, chunks }))
    }

    fn grid(
        &mut self,
        fqn: &Fqn,
        shape: &Shape,
        placements: &[Placement],
        uses: &[(usize, u32)],
    ) -> Result<Candidates, PlanError> {
        let mesh = self.meshes.mesh_of(uses, self.classes, fqn, placements)?;
        let leading = mesh.joined.then_some(Placement::Replicate);
        let placements: Vec<_> = leading.into_iter().chain(placements.iter().copied()).collect();
        let replicated = placements.iter().map(|placement| *placement == Placement::Replicate).collect();
        let grid = ShardGrid::new(shape.clone(), mesh.mesh.clone(), placements);
        let grid = grid.map_err(|fault| PlanError::types(fqn, fault))?;
        let table = self.tables.entry((mesh.number, replicated));
        let table = table.or_insert_with(|| Rc::new(Table::new(&mesh, grid.placements(), self.classes)));
        Ok(Candidates::Grid(grid, Rc::clone(table)))
    }

    /// Regions that several ranks have are replicas of one chunk.
    fn list(&mut self, fqn: &Fqn, shape: &Shape, held: &[(&Region, usize)]) -> Result<Candidates, PlanError> {
        // What ranks declare lies all over the memory: it is brought together before it is sorted.
        let mut held: Vec<(Region, usize)> = held.iter().map(|(region, class)| ((*region).clone(), *class)).collect();
        held.sort_unstable();
        held.dedup();
        let (mut regions, mut candidates) = (Vec::with_capacity(held.len()), Vec::with_capacity(held.len()));
        let mut classes = Vec::new();
        for copies in held.chunk_by(|one, next| one.0 == next.0) {
            classes.clear();
            classes.extend(copies.iter().map(|(_, class)| *class));
            regions.push(copies[0].0.clone());
            candidates.push(self.positions(Part::Regions, &classes));
        }
        match ChunkList::new(shape, regions) {
            Ok(list) => Ok(Candidates::List(list, candidates)),
            Err(TypesError::Overlap(regions)) => Err(self.overlap(fqn, regions, &held)),
            Err(fault) => Err(PlanError::types(fqn, fault)),
        }
    }

    fn positions(&mut self, part: Part, classes: &[usize]) -> Rc<[u32]> {
        let (all, known) = (self.classes, &mut self.positions[part as usize]);
        if let Some(positions) = known.get(classes) {
            return Rc::clone(positions);
        }
        let ranks_of = |&class: &usize| match part {
            Part::Tensors => all.tensors[class].ranks.iter().collect::<Vec<_>>(),
            Part::Regions => all.regions[class].ranks.iter().collect(),
        };
        let ranks: RankSet = classes.iter().flat_map(ranks_of).collect();
        let positions: Rc<[u32]> = ranks.iter().filter_map(|rank| all.position(rank)).collect();
        known.insert(classes.to_vec(), Rc::clone(&positions));
        positions
    }

    fn overlap(&self, fqn: &Fqn, regions: Box<(Region, Region)>, held: &[(Region, usize)]) -> PlanError {
        let lowest = |of: &Region| {
            let classes = held.iter().filter(|(region, _)| region == of).map(|(_, class)| *class);
            classes.map(|class| self.classes.regions[class].first).min().unwrap_or(0)
        };
        PlanError::Overlap { fqn: fqn.clone(), ranks: (lowest(&regions.0), lowest(&regions.1)), regions }
    }
}
