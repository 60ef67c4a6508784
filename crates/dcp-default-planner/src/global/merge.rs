//! One list of leaves out of what all ranks declare.

use std::collections::HashMap;

use dcp_planner::PlanError;
use dcp_types::{
    DType, Digest, Fqn, Placement, Rank, Region, RegionDecl, Shape, ShardingDecl, StatePath, TensorDecl, TypesError,
    ValueDecl,
};

use super::classes::{Class, Classes};
use super::conflict::{agree, list};
use crate::DifferingValues;

/// A tensor or value, as all ranks that have it describe it.
pub(super) struct Leaf<'a> {
    pub(super) fqn: Fqn,
    pub(super) path: &'a StatePath,
    /// The lowest rank that has it.
    pub(super) rank: Rank,
    pub(super) what: What<'a>,
}

pub(super) enum What<'a> {
    Tensor { dtype: DType, shape: &'a Shape, layout: Layout<'a>, tied: Option<&'a StatePath> },
    Value { object: bool, content: Digest },
}

/// How a tensor lies over the ranks. Numbers are those of classes.
pub(super) enum Layout<'a> {
    /// Each rank of these classes has it whole.
    Replicated(Vec<usize>),
    /// Each of these classes has it on the mesh of this number.
    Mesh(&'a [Placement], Vec<(usize, u32)>),
    /// Each rank of these classes has this region. Empty ones are left out.
    Regions(Vec<(&'a Region, usize)>),
}

/// The leaves in the order of the entries: the coordinator's own, then those of others by ascending rank.
pub(super) fn merge<'a>(
    classes: &Classes<'a>,
    coordinator: Rank,
    differing: DifferingValues,
) -> Result<Vec<Leaf<'a>>, PlanError> {
    let mut merge = Merge { differing, leaves: Vec::new(), by_path: HashMap::new(), by_name: HashMap::new() };
    let (mut tensors, mut regions, mut values) = (0, 0, 0);
    let mut leaves_of: Vec<Vec<usize>> = Vec::with_capacity(classes.tensors.len());
    for group in &classes.groups {
        // Classes are numbered by their first group.
        if group.tensors == tensors {
            leaves_of.push(merge.tensors(&classes.tensors[tensors], tensors)?);
            tensors += 1;
        }
        if group.regions == regions {
            merge.regions(&classes.regions[regions], regions, &leaves_of[group.tensors])?;
            regions += 1;
        }
        if group.values == values {
            merge.values(&classes.values[values])?;
            values += 1;
        }
    }
    let own = classes.groups.iter().find(|group| group.declared.ranks.contains(coordinator));
    let order = own.map_or(&[][..], |group| &group.declared.plan.order);
    let order: HashMap<&StatePath, usize> = order.iter().zip(0..).collect();
    // Stable: what the coordinator does not have stays in the order of ranks.
    merge.leaves.sort_by_key(|leaf| order.get(leaf.path).copied().unwrap_or(usize::MAX));
    Ok(merge.leaves)
}

struct Merge<'a> {
    differing: DifferingValues,
    leaves: Vec<Leaf<'a>>,
    by_path: HashMap<&'a StatePath, usize>,
    by_name: HashMap<Fqn, usize>,
}

impl<'a> Merge<'a> {
    /// Returns the numbers of the leaves.
    fn tensors(&mut self, class: &Class<'a, TensorDecl>, number: usize) -> Result<Vec<usize>, PlanError> {
        let add = |tensor: &'a TensorDecl| {
            let layout = match &tensor.sharding {
                ShardingDecl::Replicated => Layout::Replicated(vec![number]),
                ShardingDecl::Mesh(mesh, placements) => Layout::Mesh(placements, vec![(number, *mesh)]),
                ShardingDecl::Regions => Layout::Regions(Vec::new()),
            };
            let tied = tensor.tied.and_then(|number| class.items.get(number as usize)).map(|first| &first.path);
            let what = What::Tensor { dtype: tensor.dtype, shape: &tensor.shape, layout, tied };
            self.add(&tensor.path, class.first, what)
        };
        class.items.iter().map(add).collect()
    }

    /// Adds regions to tensors, which are these leaves.
    fn regions(&mut self, class: &Class<'a, RegionDecl>, number: usize, tensors: &[usize]) -> Result<(), PlanError> {
        for RegionDecl { tensor, region } in class.items.iter().filter(|decl| !decl.region.is_empty()) {
            let leaf = tensors.get(*tensor as usize).map(|&leaf| &mut self.leaves[leaf].what);
            let Some(What::Tensor { layout: Layout::Regions(held), .. }) = leaf else {
                let reason = format!("tensor {tensor} of rank {} is not one of explicit regions", class.first);
                return Err(TypesError::Decode { what: "a part of a plan", reason }.into());
            };
            held.push((region, number));
        }
        Ok(())
    }

    fn values(&mut self, class: &Class<'a, ValueDecl>) -> Result<(), PlanError> {
        class.items.iter().try_for_each(|value| {
            let what = What::Value { object: value.object, content: value.content };
            self.add(&value.path, class.first, what).map(drop)
        })
    }

    /// Returns the number of the leaf.
    fn add(&mut self, path: &'a StatePath, rank: Rank, what: What<'a>) -> Result<usize, PlanError> {
        if let Some(&known) = self.by_path.get(path) {
            self.leaves[known].join(rank, what, self.differing)?;
            return Ok(known);
        }
        let fqn = path.fqn();
        if let Some(&known) = self.by_name.get(&fqn) {
            let leaf = &self.leaves[known];
            agree(&fqn, "place in the tree", (leaf.rank, rank), (leaf.path, path), ToString::to_string)?;
        }
        self.by_path.insert(path, self.leaves.len());
        self.by_name.insert(fqn.clone(), self.leaves.len());
        self.leaves.push(Leaf { fqn, path, rank, what });
        Ok(self.leaves.len() - 1)
    }
}

impl<'a> Leaf<'a> {
    /// Takes in what another class says of it.
    fn join(&mut self, rank: Rank, said: What<'a>, differing: DifferingValues) -> Result<(), PlanError> {
        let (fqn, ranks) = (&self.fqn, (self.rank, rank));
        agree(fqn, "kind", ranks, (self.what.kind(), said.kind()), ToString::to_string)?;
        match (&mut self.what, said) {
            (What::Value { content, .. }, What::Value { content: other, .. })
                if *content != other && differing == DifferingValues::Refuse =>
            {
                return Err(PlanError::ValueDiffers { fqn: fqn.clone(), rank: ranks.0, other: rank });
            }
            (
                What::Tensor { dtype, shape, layout, tied },
                What::Tensor { dtype: dtype2, shape: shape2, layout: layout2, tied: tied2 },
            ) => {
                agree(fqn, "shape", ranks, (*shape, shape2), |shape| format!("{shape:?}"))?;
                agree(fqn, "dtype", ranks, (*dtype, dtype2), ToString::to_string)?;
                if !layout.same_kind(&layout2) {
                    agree(fqn, "layout", ranks, (layout.describe(), layout2.describe()), Clone::clone)?;
                }
                layout.join(layout2);
                // It is another name only if it is that for all.
                *tied = tied.filter(|_| *tied == tied2);
            }
            // Values that agree, or of which the lowest rank's is kept. (Tensors and values did not agree.)
            _ => {}
        }
        Ok(())
    }
}

impl What<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Tensor { .. } => "a tensor",
            Self::Value { .. } => "a value",
        }
    }
}

impl Layout<'_> {
    /// Whether ranks agree; meshes are compared later.
    fn same_kind(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mesh(placements, _), Self::Mesh(others, _)) => placements == others,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Replicated(_) => "replicated".to_owned(),
            Self::Regions(_) => "explicit regions".to_owned(),
            Self::Mesh(placements, _) => format!("{} over a mesh", list(placements)),
        }
    }

    fn join(&mut self, other: Self) {
        match (self, other) {
            (Self::Replicated(classes), Self::Replicated(more)) => classes.extend(more),
            (Self::Mesh(_, uses), Self::Mesh(_, more)) => uses.extend(more),
            _ => {}
        }
    }
}
