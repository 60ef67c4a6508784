//! How ranks tell the coordinator what they have: by digest, and in full only what it has not yet seen.

use std::collections::HashMap;

use dcp_collective::{Exchange, Progress};
use dcp_planner::Declared;
use dcp_types::{DeviceMesh, Digest, PlanPart, Rank, RankSet, RegionsDecl, SavePlan, TensorDecl, ValueDecl};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::group::Members;

/// What all ranks have declared. Only the coordinator knows.
pub(super) struct AllDeclared {
    pub(super) groups: Vec<Declared>,
    /// Stands for all of it.
    pub(super) digest: Digest,
}

/// What a rank says at first.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Outline {
    parts: [Digest; 4],
    /// Of the order of the rank's tree.
    order: Digest,
    /// What the plan that it has from its last save was kept under.
    cached: Option<Digest>,
}

/// Gathers what all ranks have at the coordinator. Returns it there, and on every rank the digest of the plan to use
/// again if all of them still have it.
pub(super) fn agree(
    exchange: &mut Exchange<'_>,
    members: &Members,
    cached: Option<Digest>,
    local_plan: impl FnOnce(&Progress) -> Result<SavePlan, Error>,
) -> Result<(Option<AllDeclared>, Option<Digest>), Error> {
    let mut own = None;
    let mut seen: Option<Vec<Outline>> = None;
    let outline = |progress: &Progress| {
        let plan: &SavePlan = own.insert(local_plan(progress)?);
        let parts = [plan.meshes.digest(), plan.tensors.digest(), plan.regions.digest(), plan.values.digest()];
        let order = PlanPart::new(plan.order.clone())?.digest();
        Ok::<_, Error>(Outline { parts, order, cached })
    };
    let reuse = exchange.all_reduce("declare", outline, |outlines: Vec<Outline>, _| {
        let digest = digest_of(&outlines, members);
        let reuse = outlines.iter().all(|outline| outline.cached == Some(digest)).then_some(digest);
        seen = Some(outlines);
        Ok(reuse)
    })?;
    let Some(plan) = own else { return Ok((None, reuse)) };
    if reuse.is_some() {
        return Ok((None, reuse));
    }
    let outlines = seen.as_deref();
    let parts = Parts {
        meshes: collect(exchange, "meshes", &plan.meshes, outlines, 0)?,
        tensors: collect(exchange, "tensors", &plan.tensors, outlines, 1)?,
        regions: collect(exchange, "regions", &plan.regions, outlines, 2)?,
        values: collect(exchange, "values", &plan.values, outlines, 3)?,
    };
    let declared = seen.map(|outlines| AllDeclared {
        digest: digest_of(&outlines, members),
        groups: group(&outlines, &parts, plan, members),
    });
    Ok((declared, None))
}

/// Every distinct content of each part.
struct Parts {
    meshes: HashMap<Digest, PlanPart<DeviceMesh>>,
    tensors: HashMap<Digest, PlanPart<TensorDecl>>,
    regions: HashMap<Digest, PlanPart<RegionsDecl>>,
    values: HashMap<Digest, PlanPart<ValueDecl>>,
}

/// Brings one rank's copy of every distinct content of a part to the coordinator.
fn collect<T: Serialize + DeserializeOwned + Clone>(
    exchange: &mut Exchange<'_>,
    step: &'static str,
    own: &PlanPart<T>,
    outlines: Option<&[Outline]>,
    part: usize,
) -> Result<HashMap<Digest, PlanPart<T>>, Error> {
    let mut known = HashMap::from([(own.digest(), own.clone())]);
    let mut chosen: HashMap<Digest, usize> = HashMap::new();
    for (position, outline) in outlines.unwrap_or_default().iter().enumerate() {
        if outline.parts[part] != own.digest() {
            chosen.entry(outline.parts[part]).or_insert(position);
        }
    }
    let mut positions: Vec<usize> = chosen.into_values().collect();
    positions.sort_unstable();
    let encode = |_: &Progress| Ok::<_, Error>(bytes::Bytes::from(own.encode()?));
    let sent: Option<Vec<(usize, bytes::Bytes)>> = exchange.gather_from(step, &positions, encode)?;
    for (_, encoded) in sent.into_iter().flatten() {
        let decoded = PlanPart::decode(&encoded)?;
        known.insert(decoded.digest(), decoded);
    }
    Ok(known)
}

/// Ranks of equal outlines together, in the order of their lowest rank.
fn group(outlines: &[Outline], parts: &Parts, own: SavePlan, members: &Members) -> Vec<Declared> {
    let mut ranks: HashMap<[Digest; 4], Vec<Rank>> = HashMap::new();
    for (outline, &rank) in outlines.iter().zip(&members.labels) {
        ranks.entry(outline.parts).or_default().push(rank);
    }
    let mut groups: Vec<Declared> = Vec::with_capacity(ranks.len());
    for ([meshes, tensors, regions, values], ranks) in ranks {
        let ranks: RankSet = ranks.into_iter().collect();
        let order = if ranks.contains(members.ctx.coordinator) { own.order.clone() } else { Vec::new() };
        let plan = SavePlan {
            meshes: parts.meshes[&meshes].clone(),
            tensors: parts.tensors[&tensors].clone(),
            regions: parts.regions[&regions].clone(),
            values: parts.values[&values].clone(),
            order,
        };
        groups.push(Declared { ranks, plan });
    }
    groups.sort_by_key(|group| group.ranks.first());
    groups
}

/// Stands for what all ranks have declared, who they are, and in which order the coordinator has it.
fn digest_of(outlines: &[Outline], members: &Members) -> Digest {
    let outlines = || outlines.iter().zip(&members.labels);
    let parts: Vec<_> = outlines().map(|(outline, rank)| (rank, outline.parts)).collect();
    let coordinator = members.ctx.coordinator;
    let order = outlines().find(|(_, rank)| **rank == coordinator).map(|(outline, _)| outline.order);
    let encoded = rmp_serde::to_vec(&(coordinator, order, parts)).unwrap_or_default();
    Digest::of(&encoded)
}
