//! What it costs to plan a save by many ranks and a load, all ranks in one process. No data is written.
//!
//! Nothing is special about these ranks: each flattens its state, makes its local plan and its digests, and lays out its files as it
//! would on its own.

mod declaring;
mod files;
mod loading;
mod model;
mod report;
mod workers;

use std::io::Write;
use std::sync::Arc;

use dcp::crates::dcp_planner::{PlanContext, PlanError};
use dcp::crates::dcp_storage::Io;
use dcp::crates::dcp_types::{CommonPlan, GlobalPlan, RankSet};
use dcp::{
    ComposedReader, DefaultSavePlanner, Error, Format, MemoryStore, Metadata, NativeFormat, Precondition, SavePlanner,
    StorageReader, Store,
};

use super::peak::peak_bytes;
use super::phases::Phases;
use crate::args::BenchPlan;
use crate::failure::Failure;
use model::Model;
use report::Report;

/// Plans, and tells what it took.
pub(super) fn plan(args: &BenchPlan, out: &mut dyn Write) -> Result<(), Failure> {
    let model = Model::new(args.ranks, args.tensors, args.explicit)?;
    let report = measure(&model, args.load_ranks())?;
    if args.json { report.json(out) } else { report.text(out) }
}

/// The names of the phases. Programs read them.
mod phase {
    pub(super) const LOCAL: &str = "local plans";
    pub(super) const EXCHANGE: &str = "exchange";
    pub(super) const GLOBAL: &str = "global plan";
    pub(super) const LAYOUTS: &str = "layouts";
    pub(super) const WRITTEN: &str = "index written";
    pub(super) const READ: &str = "index read";
    pub(super) const LOAD: &str = "load plan";
}

fn measure(model: &Model, load_ranks: u32) -> Result<Report, Failure> {
    let mut phases = Phases::default();
    let (plan, plan_bytes) = save_plan(model, &mut phases)?;
    let shards = plan.metadata().entries().filter_map(|(_, entry)| entry.as_tensor());
    let shards = shards.map(|tensor| model.shards_of(tensor)).sum();

    let format = NativeFormat::new();
    let summaries = files::summaries(&format, &plan, model.ranks(), &mut phases)?;
    let (io, store) = (Io::new().map_err(Error::from)?, MemoryStore::new());
    let index_bytes = phases.time(phase::WRITTEN, || {
        let index = format.encode_index(&plan, &summaries, 0)?;
        io.block_on(store.publish(&format.index_path(), &index, Precondition::Absent))?;
        Ok::<_, Error>(index.len() as u64)
    })?;
    drop((plan, summaries));

    let reader = ComposedReader::new(Arc::new(format), Arc::new(store));
    let opened = phases.time(phase::READ, || io.block_on(reader.read_metadata(&io))).map_err(Error::from)?;
    let metadata: &Metadata = &opened.metadata;
    let load = loading::Load::new(model, metadata, load_ranks)?;
    let reads = phases.time(phase::LOAD, || load.plan(metadata))?;
    let (ranks, tensors, explicit) = (model.ranks(), model.tensors(), model.is_explicit());
    Ok(Report { ranks, tensors, explicit, shards, phases, index_bytes, plan_bytes, reads, peak_bytes: peak_bytes() })
}

/// The plan of the save, and how many bytes of it a rank is sent at most.
fn save_plan(model: &Model, phases: &mut Phases) -> Result<(GlobalPlan, u64), Failure> {
    let planner = DefaultSavePlanner::new();
    let ranks: RankSet = (0..model.ranks()).collect();
    let ctx = |rank| PlanContext { rank, ranks: ranks.clone(), coordinator: 0 };
    let declared = declaring::declared(model, &planner, &ctx, phases)?;
    let plan = phases.time(phase::GLOBAL, || planner.global_plan(&declared, &ctx(0))).map_err(Error::from)?;
    drop(declared);
    let sent = phases.time(phase::EXCHANGE, || sent(&plan, model.ranks()))?;
    Ok((plan, sent))
}

/// Encodes what every rank is sent, and opens what the last one gets, as all would do at one time.
fn sent(plan: &GlobalPlan, ranks: u32) -> Result<u64, Failure> {
    let fault = |fault: &dyn std::fmt::Display| Error::from(PlanError::custom(fault.to_string()));
    let common = rmp_serde::to_vec(&plan.common()).map_err(|error| fault(&error))?;
    let own = |rank| rmp_serde::to_vec(&plan.own_chunks(rank)).map_err(|error| fault(&error));
    let own = (0..ranks).map(own).collect::<Result<Vec<_>, _>>()?;
    let most = own.iter().map(Vec::len).max().unwrap_or(0);
    if let (Some(chunks), rank) = (own.last(), ranks - 1) {
        let received: CommonPlan = rmp_serde::from_slice(&common).map_err(|error| fault(&error))?;
        let chunks = rmp_serde::from_slice(chunks).map_err(|error| fault(&error))?;
        received.for_rank(rank, chunks)?;
    }
    Ok((common.len() + most) as u64)
}
