//! One list of leaves out of what all ranks declare.

use std::collections::HashMap;

use dcp_planner::PlanError;
use dcp_types::{DType, Digest, Fqn, Placement, Rank, Region, Shape, StatePath};

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
    /// Each rank of these classes has these regions.
    Regions(Vec<(usize, &'a [Region])>),
}

/// The leaves in the order of the entries: the coordinator's own, then those of others by ascending rank.
pub(super) fn merge<'a>(
    classes: &Classes<'a>,
    coordinator: Rank,
    differing: DifferingValues,
) -> Result<Vec<Leaf<'a>>, PlanError> {
    let mut merge = Merge { differing, leaves: Vec::new(), by_path: HashMap::new(), by_name: HashMap::new() };
    let (mut tensors, mut regions, mut values) = (0, 0, 0);
    for group in &classes.groups {
        // Classes are numbered by their first group.
        if group.tensors == tensors {
            merge.tensors(&classes.tensors[tensors], tensors)?;
            tensors += 1;
        }
        if group.regions == regions {
            merge.regions(&classes.regions[regions], regions)?;
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
    fn tensors(&mut self, class: &Class<'a, dcp_types::TensorDecl>, number: usize) -> Result<(), PlanError> {
        class.items.iter().try_for_each(|tensor| {
            let layout = match &tensor.sharding {
                None => Layout::Replicated(vec![number]),
                Some((mesh, placements)) => Layout::Mesh(placements, vec![(number, *mesh)]),
            };
            let tied = tensor.tied.and_then(|number| class.items.get(number as usize)).map(|first| &first.path);
            let what = What::Tensor { dtype: tensor.dtype, shape: &tensor.shape, layout, tied };
            self.add(&tensor.path, class.first, what)
        })
    }

    fn regions(&mut self, class: &Class<'a, dcp_types::RegionsDecl>, number: usize) -> Result<(), PlanError> {
        class.items.iter().try_for_each(|tensor| {
            let layout = Layout::Regions(vec![(number, &tensor.regions)]);
            let what = What::Tensor { dtype: tensor.dtype, shape: &tensor.shape, layout, tied: None };
            self.add(&tensor.path, class.first, what)
        })
    }

    fn values(&mut self, class: &Class<'a, dcp_types::ValueDecl>) -> Result<(), PlanError> {
        class.items.iter().try_for_each(|value| {
            let what = What::Value { object: value.object, content: value.content };
            self.add(&value.path, class.first, what)
        })
    }

    fn add(&mut self, path: &'a StatePath, rank: Rank, what: What<'a>) -> Result<(), PlanError> {
        if let Some(&known) = self.by_path.get(path) {
            return self.leaves[known].join(rank, what, self.differing);
        }
        let fqn = path.fqn();
        if let Some(&known) = self.by_name.get(&fqn) {
            let leaf = &self.leaves[known];
            return agree(&fqn, "place in the tree", (leaf.rank, rank), (leaf.path, path), ToString::to_string);
        }
        self.by_path.insert(path, self.leaves.len());
        self.by_name.insert(fqn.clone(), self.leaves.len());
        self.leaves.push(Leaf { fqn, path, rank, what });
        Ok(())
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
            (Self::Regions(parts), Self::Regions(more)) => parts.extend(more),
            _ => {}
        }
    }
}
