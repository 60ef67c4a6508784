//! How ranks learn of the plan: what all get alike is sent once to all of them, and to each the listed chunks that it writes.

use bytes::Bytes;
use dcp_planner::PlanError;
use dcp_types::{CommonPlan, Digest, GlobalPlan, Rank, RankPlan};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// A plan in encoded parts, which the coordinator makes.
pub(super) struct Parcels {
    pub(super) common: Bytes,
    /// For each position of the group; `None` if no chunks are listed.
    pub(super) chunks: Option<Vec<Bytes>>,
}

impl Parcels {
    pub(super) fn of(plan: &GlobalPlan, ranks: &[Rank]) -> Result<Self, Error> {
        let chunks = ranks.iter().map(|&rank| encode(&plan.own_chunks(rank)));
        let chunks = if plan.lists_chunks() { Some(chunks.collect::<Result<_, _>>()?) } else { None };
        Ok(Self { common: encode(&plan.common())?, chunks })
    }

    /// Stands for the plan, and for who does what in it.
    pub(super) fn digest(&self) -> Result<Digest, Error> {
        let chunks: Vec<Digest> = self.chunks.iter().flatten().map(|own| Digest::of(own)).collect();
        Ok(Digest::of(&encode(&(Digest::of(&self.common), chunks))?))
    }
}

/// The plan of a rank out of what it has got.
pub(super) fn open(rank: Rank, common: &Bytes, chunks: Option<&Bytes>) -> Result<RankPlan, Error> {
    let common: CommonPlan = decode(common)?;
    let chunks = chunks.map_or(Ok(Default::default()), decode)?;
    Ok(common.for_rank(rank, chunks).map_err(PlanError::from)?)
}

fn encode<T: Serialize>(part: &T) -> Result<Bytes, Error> {
    Ok(rmp_serde::to_vec(part).map_err(|fault| PlanError::custom(fault.to_string()))?.into())
}

fn decode<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Error> {
    Ok(rmp_serde::from_slice(bytes).map_err(|fault| PlanError::custom(fault.to_string()))?)
}
