//! How ranks tell the coordinator what they have: by digest, and in full only what it has not yet seen.

use std::collections::HashMap;

use dcp_collective::{Exchange, Progress};
use dcp_planner::{Declarations, Declared, PartDigests, PlanError};
use dcp_types::{Digest, PlanPart, Rank, SavePlan, StatePath};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::group::Members;

/// What all ranks have declared. Only the coordinator knows.
pub(super) struct AllDeclared {
    said: Vec<(Rank, PartDigests)>,
    contents: Declarations,
    /// Of the coordinator's tree.
    order: Vec<StatePath>,
    pub(super) key: PlanKey,
}

impl AllDeclared {
    /// Ranks that have declared the same, together.
    pub(super) fn groups(self, coordinator: Rank) -> Result<Vec<Declared>, PlanError> {
        self.contents.groups(self.said, coordinator, &self.order)
    }
}

/// Stands for what all ranks have declared: what a plan is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlanKey {
    /// Everything that a plan depends on.
    pub(super) structure: Digest,
    /// What the values are.
    contents: Digest,
}

/// What a rank says at first: digests.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Digests {
    /// Of all that it declares.
    parts: PartDigests,
    /// Of its values, without what they are.
    value_names: Digest,
    /// Of the order of its tree.
    order: Digest,
    /// What the plan that it has from its last save was kept under, and the digest of the plan.
    cached: Option<(PlanKey, Digest)>,
}

/// Gathers what all ranks have at the coordinator. Returns it there, and on every rank the key of the plan to use
/// again if all of them still have it.
pub(super) fn agree(
    exchange: &mut Exchange<'_>,
    members: &Members,
    cached: Option<(PlanKey, Digest)>,
    local_plan: impl FnOnce(&Progress) -> Result<SavePlan, Error>,
) -> Result<(Option<AllDeclared>, Option<PlanKey>), Error> {
    let mut own = None;
    let mut seen: Option<Vec<Digests>> = None;
    let outline = |progress: &Progress| {
        let plan: &SavePlan = own.insert(local_plan(progress)?);
        let parts = PartDigests::of(plan);
        let order = PlanPart::new(plan.order.clone())?.digest();
        let values = plan.values.items().iter().map(|value| (value.path.clone(), value.object)).collect();
        let value_names = PlanPart::<(StatePath, bool)>::new(values)?.digest();
        Ok::<_, Error>(Digests { parts, value_names, order, cached })
    };
    let reuse = exchange.all_reduce("declare", outline, |outlines: Vec<Digests>, _| {
        let key = key_of(&outlines, members);
        let reuse = can_reuse(&outlines, key).then_some(key);
        seen = Some(outlines);
        Ok(reuse)
    })?;
    let Some(plan) = own else { return Ok((None, reuse)) };
    if reuse.is_some() {
        return Ok((None, reuse));
    }
    let outlines = seen.as_deref();
    let contents = Declarations {
        meshes: collect(exchange, "meshes", &plan.meshes, outlines, |parts| parts.meshes)?,
        tensors: collect(exchange, "tensors", &plan.tensors, outlines, |parts| parts.tensors)?,
        regions: collect(exchange, "regions", &plan.regions, outlines, |parts| parts.regions)?,
        values: collect(exchange, "values", &plan.values, outlines, |parts| parts.values)?,
    };
    let declared = seen.map(|outlines| AllDeclared {
        key: key_of(&outlines, members),
        said: members.labels.iter().copied().zip(outlines.iter().map(|outline| outline.parts)).collect(),
        contents,
        order: plan.order,
    });
    Ok((declared, None))
}

/// Brings one rank's copy of every distinct content of a part to the coordinator.
fn collect<T: Serialize + DeserializeOwned + Clone>(
    exchange: &mut Exchange<'_>,
    step: &'static str,
    own: &PlanPart<T>,
    outlines: Option<&[Digests]>,
    part: fn(&PartDigests) -> Digest,
) -> Result<HashMap<Digest, PlanPart<T>>, Error> {
    let mut known = HashMap::from([(own.digest(), own.clone())]);
    let mut chosen: HashMap<Digest, usize> = HashMap::new();
    for (position, outline) in outlines.unwrap_or_default().iter().enumerate() {
        let digest = part(&outline.parts);
        if digest != own.digest() {
            chosen.entry(digest).or_insert(position);
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

/// Whether the plan of the last save serves again: every rank has it, and what the ranks have now is of the same structure.
///
/// Values may have changed, but ranks must not disagree about one. Where all ranks have values of the same names, that shows in
/// their digests; otherwise only a planner can tell, unless nothing has changed at all.
fn can_reuse(outlines: &[Digests], key: PlanKey) -> bool {
    let agree = outlines.windows(2).all(|pair| pair[0].parts.values == pair[1].parts.values);
    let serves = |cached: PlanKey| cached.structure == key.structure && (agree || cached == key);
    let same_plan = outlines.windows(2).all(|pair| pair[0].cached.map(|c| c.1) == pair[1].cached.map(|c| c.1));
    same_plan && outlines.iter().all(|outline| outline.cached.is_some_and(|(cached, _)| serves(cached)))
}

/// Stands for what all ranks have declared, and who they are.
fn key_of(outlines: &[Digests], members: &Members) -> PlanKey {
    let digest = |of: Vec<Digest>| Digest::of(&rmp_serde::to_vec(&of).unwrap_or_default());
    let outlines = || outlines.iter().zip(&members.labels);
    let parts: Vec<_> = outlines()
        .map(|(Digests { parts: PartDigests { meshes, tensors, regions, .. }, value_names, .. }, rank)| {
            (rank, [meshes, tensors, regions, value_names])
        })
        .collect();
    let coordinator = members.ctx.coordinator;
    let order = outlines().find(|(_, rank)| **rank == coordinator).map(|(outline, _)| outline.order);
    let encoded = rmp_serde::to_vec(&(coordinator, order, parts)).unwrap_or_default();
    let contents = digest(outlines().map(|(outline, _)| outline.parts.values).collect());
    PlanKey { structure: Digest::of(&encoded), contents }
}
