//! What ranks have, and how the coordinator learns of it: digests from all, and each distinct content once.

use std::collections::HashMap;

use dcp::crates::dcp_planner::{Declared, PlanContext, PlanError};
use dcp::crates::dcp_types::{
    DeviceMesh, Digest, PlanPart, Rank, RegionDecl, SavePlan, TensorDecl, ValueDecl, flatten_state,
};
use dcp::{Error, SavePlanner, TypesError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::phases::Phases;
use super::model::Model;
use super::phase;
use super::workers::{AT_A_TIME, for_each_rank};
use crate::failure::Failure;

/// What all ranks declare, as it arrives at the coordinator, which is rank 0.
pub(super) fn declared(
    model: &Model,
    planner: &dyn SavePlanner,
    ctx: &(dyn Fn(Rank) -> PlanContext + Sync),
    phases: &mut Phases,
) -> Result<Vec<Declared>, Failure> {
    let mut coordinator = Coordinator::default();
    for start in (0..model.ranks()).step_by(AT_A_TIME as usize) {
        let ranks = (start..model.ranks().min(start + AT_A_TIME)).collect();
        // States are the program's own: they are there before a save, and after it.
        let states = for_each_rank(ranks, |rank| Ok((rank, model.state(rank)?)))?;
        let local = |(rank, state)| {
            let state = flatten_state(state)?;
            let plan = planner.local_plan(&state, &ctx(rank)).map_err(Error::from)?;
            Ok((rank, plan, state))
        };
        let plans = phases.time(phase::LOCAL, || for_each_rank(states, local))?;
        phases.time(phase::EXCHANGE, || plans.iter().try_for_each(|(rank, plan, _)| coordinator.hear(*rank, plan)))?;
    }
    Ok(coordinator.groups())
}

/// The digests of meshes, tensors, regions and values.
type Outline = [Digest; 4];

/// What the coordinator has heard.
#[derive(Default)]
struct Coordinator {
    ranks: HashMap<Outline, Vec<Rank>>,
    meshes: Parts<DeviceMesh>,
    tensors: Parts<TensorDecl>,
    regions: Parts<RegionDecl>,
    values: Parts<ValueDecl>,
    order: Vec<dcp::crates::dcp_types::StatePath>,
}

impl Coordinator {
    /// Takes a rank's digests, and what is not known yet.
    fn hear(&mut self, rank: Rank, plan: &SavePlan) -> Result<(), Failure> {
        let said = [plan.meshes.digest(), plan.tensors.digest(), plan.regions.digest(), plan.values.digest()];
        let sent = rmp_serde::to_vec(&said).map_err(|error| fault(&error))?;
        let outline: Outline = rmp_serde::from_slice(&sent).map_err(|error| fault(&error))?;
        self.ranks.entry(outline).or_default().push(rank);
        if rank == 0 {
            self.order.clone_from(&plan.order);
        }
        self.meshes.hear(&plan.meshes)?;
        self.tensors.hear(&plan.tensors)?;
        self.regions.hear(&plan.regions)?;
        self.values.hear(&plan.values)?;
        Ok(())
    }

    /// Ranks that have declared the same, together.
    fn groups(mut self) -> Vec<Declared> {
        let ranks = std::mem::take(&mut self.ranks);
        let mut groups: Vec<Declared> = ranks.into_iter().map(|(outline, ranks)| self.group(&outline, ranks)).collect();
        groups.sort_by_key(|group| group.ranks.first());
        groups
    }

    fn group(&self, [meshes, tensors, regions, values]: &Outline, ranks: Vec<Rank>) -> Declared {
        let plan = SavePlan {
            meshes: self.meshes.0[meshes].clone(),
            tensors: self.tensors.0[tensors].clone(),
            regions: self.regions.0[regions].clone(),
            values: self.values.0[values].clone(),
            order: if ranks.contains(&0) { self.order.clone() } else { Vec::new() },
        };
        Declared { ranks: ranks.into_iter().collect(), plan }
    }
}

/// Distinct contents of a part.
struct Parts<T>(HashMap<Digest, PlanPart<T>>);

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Serialize + DeserializeOwned> Parts<T> {
    fn hear(&mut self, part: &PlanPart<T>) -> Result<(), TypesError> {
        if !self.0.contains_key(&part.digest()) {
            let received = PlanPart::decode(&part.encode()?)?;
            self.0.insert(received.digest(), received);
        }
        Ok(())
    }
}

fn fault(fault: &dyn std::fmt::Display) -> Error {
    PlanError::custom(fault.to_string()).into()
}
