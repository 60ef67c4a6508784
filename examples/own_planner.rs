//! A planner of one's own: of what all ranks have, one rank of each node writes.
//!
//! It leaves everything to the default planner and changes one step.

use dcp::crates::dcp_planner::{Declared, PlanContext};
use dcp::crates::dcp_types::{FlatState, GlobalPlan, Owners, RankPlan, SavePlan, Source, WriteItem};
use dcp::{
    Collective, DefaultSavePlanner, Error, PlanError, SavePlanner, SaveReport, Saver, StateDict, ThreadGroup, whole,
};
use ndarray::Array1;

struct NodeLeadersWrite {
    ranks_per_node: u32,
    planner: DefaultSavePlanner,
}

impl SavePlanner for NodeLeadersWrite {
    fn local_plan(&self, state: &FlatState<'_>, ctx: &PlanContext) -> Result<SavePlan, PlanError> {
        self.planner.local_plan(state, ctx)
    }

    /// The default plan, in which each tensor of the model moves from its writer to the leader of the writer's node.
    fn global_plan(&self, declared: &[Declared], ctx: &PlanContext) -> Result<GlobalPlan, PlanError> {
        let plan = self.planner.global_plan(declared, ctx)?;
        let to_leader = |owners: &Owners| match owners {
            Owners::One(rank) => Owners::One(rank - rank % self.ranks_per_node),
            other => other.clone(),
        };
        let owners = plan.owners().iter().map(to_leader).collect();
        Ok(GlobalPlan::new(plan.metadata().as_ref().clone(), owners)?)
    }

    fn resolve<'a>(
        &'a self,
        item: &WriteItem,
        plan: &RankPlan,
        state: &'a FlatState<'_>,
        ctx: &PlanContext,
    ) -> Result<Source<'a>, PlanError> {
        self.planner.resolve(item, plan, state, ctx)
    }
}

fn save(rank: &dyn Collective, place: &std::path::Path) -> Result<SaveReport, Error> {
    let layers: Vec<_> = (0..8).map(|layer| Array1::from_elem(1000, layer as f32)).collect();
    let mut model = StateDict::new();
    for (number, layer) in (0..).zip(&layers) {
        model.insert(number, whole(layer)?);
    }
    let planner = NodeLeadersWrite { ranks_per_node: 4, planner: DefaultSavePlanner::new() };
    Saver::new().group(rank).planner(planner).save_dict(&StateDict::new().with("layers", model), place)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let mut reports = Vec::new();
    for outcome in ThreadGroup::run(8, |rank| save(&rank, directory.path())) {
        reports.push(outcome.expect("no rank panics")?);
    }
    for (rank, written) in &reports[0].ranks {
        println!("rank {rank} wrote {} bytes", written.data);
        assert_eq!(written.data > 0, rank % 4 == 0);
    }
    Ok(())
}
