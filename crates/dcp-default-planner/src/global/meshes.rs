//! The meshes of tensors that several classes of ranks describe.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use dcp_planner::PlanError;
use dcp_types::{DeviceMesh, Fqn, Placement, Rank, RankSet, TypesError};

use super::classes::Classes;
use super::conflict::{agree, describe_mesh};

/// The mesh of a tensor, as all its ranks together see it.
pub(super) struct Mesh {
    pub(super) number: usize,
    pub(super) mesh: Arc<DeviceMesh>,
    /// Whether its leading dimension numbers several meshes that replicate each other.
    pub(super) joined: bool,
    /// The ranks that declare the tensor. There can be others on the mesh.
    pub(super) declared_by: RankSet,
}

/// What the mesh numbers of classes refer to: each combination that a tensor uses is looked up once.
#[derive(Default)]
pub(super) struct Meshes {
    known: HashMap<Vec<(usize, u32)>, Rc<Mesh>>,
}

impl Meshes {
    /// The mesh of a tensor that classes (by number) declare on their meshes of these numbers.
    pub(super) fn mesh_of(
        &mut self,
        uses: &[(usize, u32)],
        classes: &Classes<'_>,
        fqn: &Fqn,
        placements: &[Placement],
    ) -> Result<Rc<Mesh>, PlanError> {
        if let Some(mesh) = self.known.get(uses) {
            return Ok(Rc::clone(mesh));
        }
        let described = described(uses, classes).map_err(|fault| PlanError::types(fqn, fault))?;
        let mesh = Rc::new(join(self.known.len(), described, fqn, placements)?);
        self.known.insert(uses.to_vec(), Rc::clone(&mesh));
        Ok(mesh)
    }
}

/// A mesh, the ranks that declare a tensor on it, and the lowest of these.
struct Described<'a> {
    mesh: &'a DeviceMesh,
    by: Vec<&'a RankSet>,
    first: Rank,
}

/// The distinct meshes, by ascending lowest rank on them.
fn described<'a>(uses: &[(usize, u32)], classes: &'a Classes<'_>) -> Result<Vec<Described<'a>>, TypesError> {
    let mut numbers = HashMap::new();
    let mut distinct: Vec<Described<'_>> = Vec::new();
    for &(class, number) in uses {
        for (meshes, ranks) in &classes.tensors[class].by_meshes {
            let mesh = meshes
                .get(number as usize)
                .ok_or_else(|| TypesError::Mesh(format!("number {number} of {} meshes", meshes.len())))?;
            let at = *numbers.entry(mesh).or_insert(distinct.len());
            let first = ranks.first().unwrap_or(0);
            match distinct.get_mut(at) {
                Some(known) => {
                    known.by.push(ranks);
                    known.first = known.first.min(first);
                }
                None => distinct.push(Described { mesh, by: vec![ranks], first }),
            }
        }
    }
    distinct.sort_by_cached_key(|described| described.mesh.ranks().min());
    Ok(distinct)
}

/// One mesh out of meshes that replicate each other.
fn join(number: usize, described: Vec<Described<'_>>, fqn: &Fqn, placements: &[Placement]) -> Result<Mesh, PlanError> {
    let declared_by = described.iter().flat_map(|described| &described.by).flat_map(|ranks| ranks.iter()).collect();
    if let [only] = &described[..] {
        return Ok(Mesh { number, mesh: Arc::new(only.mesh.clone()), joined: false, declared_by });
    }
    check_apart(&described, fqn, placements)?;
    let ranks = described.iter().flat_map(|described| described.mesh.ranks()).collect();
    let mesh = joined(&described, ranks).map_err(|fault| PlanError::types(fqn, fault))?;
    Ok(Mesh { number, mesh: Arc::new(mesh), joined: true, declared_by })
}

/// Meshes that replicate each other have one shape and no rank in common.
fn check_apart(described: &[Described<'_>], fqn: &Fqn, placements: &[Placement]) -> Result<(), PlanError> {
    let mut mesh_of = HashMap::new();
    for (number, this) in described.iter().enumerate() {
        let must_agree = |other: &Described<'_>| {
            let ranks = (other.first, this.first);
            agree(fqn, "layout", ranks, (other.mesh, this.mesh), |mesh| describe_mesh(mesh, placements))
        };
        if this.mesh.shape() != described[0].mesh.shape() {
            must_agree(&described[0])?;
        }
        for rank in this.mesh.ranks() {
            if let Some(other) = mesh_of.insert(rank, number) {
                must_agree(&described[other])?;
            }
        }
    }
    Ok(())
}

fn joined(described: &[Described<'_>], ranks: Vec<Rank>) -> Result<DeviceMesh, TypesError> {
    let one = described[0].mesh;
    let count = u32::try_from(described.len()).unwrap_or(u32::MAX);
    let mesh = DeviceMesh::of_ranks([count].into_iter().chain(one.shape().iter().copied()), ranks)?;
    let alike = described.iter().all(|described| described.mesh.names() == one.names());
    if one.names().is_empty() || !alike {
        return Ok(mesh);
    }
    mesh.with_names(["replicas"].into_iter().chain(one.names().iter().map(String::as_str)))
}
