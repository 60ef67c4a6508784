//! What ranks have, and how the coordinator learns of it: digests from all, and each distinct content once.

use std::collections::HashMap;

use dcp::crates::dcp_planner::{Declarations, Declared, PartDigests, PlanContext, PlanError};
use dcp::crates::dcp_types::{Digest, PlanPart, Rank, SavePlan, StatePath, flatten_state};
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
    phases.time(phase::EXCHANGE, || coordinator.groups())
}

/// What the coordinator has heard.
#[derive(Default)]
struct Coordinator {
    said: Vec<(Rank, PartDigests)>,
    contents: Declarations,
    order: Vec<StatePath>,
}

impl Coordinator {
    /// Takes a rank's digests, and what is not known yet.
    fn hear(&mut self, rank: Rank, plan: &SavePlan) -> Result<(), Failure> {
        let sent = rmp_serde::to_vec(&PartDigests::of(plan)).map_err(|error| fault(&error))?;
        self.said.push((rank, rmp_serde::from_slice(&sent).map_err(|error| fault(&error))?));
        if rank == 0 {
            self.order.clone_from(&plan.order);
        }
        let contents = &mut self.contents;
        hear(&mut contents.meshes, &plan.meshes)?;
        hear(&mut contents.tensors, &plan.tensors)?;
        hear(&mut contents.regions, &plan.regions)?;
        hear(&mut contents.values, &plan.values)?;
        Ok(())
    }

    /// Ranks that have declared the same, together.
    fn groups(self) -> Result<Vec<Declared>, Failure> {
        Ok(self.contents.groups(self.said, 0, &self.order).map_err(Error::from)?)
    }
}

fn hear<T: Serialize + DeserializeOwned>(
    known: &mut HashMap<Digest, PlanPart<T>>,
    part: &PlanPart<T>,
) -> Result<(), TypesError> {
    if !known.contains_key(&part.digest()) {
        let received = PlanPart::decode(&part.encode()?)?;
        known.insert(received.digest(), received);
    }
    Ok(())
}

fn fault(fault: &dyn std::fmt::Display) -> Error {
    PlanError::custom(fault.to_string()).into()
}
