//! The plan of a save, made by the coordinator, and what each rank is told of it.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use dcp_collective::{Exchange, Progress};
use dcp_storage::SaveToken;
use dcp_types::{Digest, GlobalPlan, RankPlan};
use serde::{Deserialize, Serialize};

use super::Saving;
use super::declare::{AllDeclared, PlanKey};
use super::sent::{self, Parcels};
use crate::Error;
use crate::group::Members;

/// The plan of a save, kept for the next one.
pub(super) struct Kept {
    /// Stands for what all ranks declared.
    pub(super) key: PlanKey,
    /// Known to the coordinator alone.
    pub(super) whole: Option<Whole>,
    /// What this rank writes.
    pub(super) own: Arc<RankPlan>,
    /// Of the whole plan, so that ranks can tell whether theirs are parts of the same.
    pub(super) digest: Digest,
}

/// A plan for all ranks.
#[derive(Clone)]
pub(super) struct Whole {
    /// As the planner made it.
    made: GlobalPlan,
    /// As the writer prepared it.
    pub(super) prepared: GlobalPlan,
}

/// What the coordinator tells everybody after planning.
#[derive(Serialize, Deserialize)]
struct Announcement {
    token: SaveToken,
    /// What the plan is kept under.
    key: PlanKey,
    /// `None` if everybody has the plan from the last save.
    plan: Option<NewPlan>,
}

#[derive(Serialize, Deserialize)]
struct NewPlan {
    digest: Digest,
    /// Encoded: the same for all ranks, and encoded once.
    common: Bytes,
    /// Whether every rank gets chunks of its own in the next step.
    lists_chunks: bool,
}

/// What a rank was told of the plan.
pub(super) struct Told {
    key: PlanKey,
    /// On the coordinator.
    whole: Option<Whole>,
    plan: ToldPlan,
}

enum ToldPlan {
    Kept(Arc<Kept>),
    New { digest: Digest, common: Bytes, chunks: Option<Bytes> },
}

impl Saving<'_, '_> {
    /// Makes the global plan on the coordinator, starts the save there, and lets everybody know.
    pub(super) fn plan(
        &self,
        exchange: &mut Exchange<'_>,
        members: &Members,
        declared: Option<AllDeclared>,
        reuse: Option<(PlanKey, Arc<Kept>)>,
    ) -> Result<(SaveToken, Told), Error> {
        let mut started = None;
        let told = self.announce(exchange, members, declared, reuse, &mut started);
        told.inspect_err(|error| {
            if let Some(token) = &started {
                // Some ranks may have been told to write.
                self.abort(token, error, false);
            }
        })
    }

    fn announce(
        &self,
        exchange: &mut Exchange<'_>,
        members: &Members,
        declared: Option<AllDeclared>,
        reuse: Option<(PlanKey, Arc<Kept>)>,
        started: &mut Option<SaveToken>,
    ) -> Result<(SaveToken, Told), Error> {
        let (mut whole, mut all_chunks) = (None, None);
        let announced = exchange.broadcast("plan", |_| {
            let (made, key) = match (declared, &reuse) {
                (Some(declared), _) => {
                    let (key, groups) = (declared.key, declared.groups(self.ctx.coordinator)?);
                    (self.saver.planner.global_plan(&groups, self.ctx)?, key)
                }
                (None, Some((key, kept))) => match &kept.whole {
                    Some(whole) => (whole.made.clone(), *key),
                    None => unreachable!("the coordinator of the last save is that of this one"),
                },
                (None, None) => unreachable!("the coordinator has all declarations, or need not have them"),
            };
            // It may be another writer than that of the last save.
            let prepared = self.writer.prepare_global_plan(made.clone())?;
            let known = reuse.as_ref().and_then(|(_, kept)| kept.whole.clone());
            let known = known.filter(|whole| whole.prepared == prepared);
            let plan = if known.is_some() {
                None
            } else {
                let parcels = Parcels::of(&prepared, &members.labels)?;
                let (digest, lists_chunks) = (parcels.digest()?, parcels.chunks.is_some());
                all_chunks = parcels.chunks;
                Some(NewPlan { digest, common: parcels.common, lists_chunks })
            };
            let token = started.insert(self.io.block_on(self.writer.begin(&self.ctx.ranks))?).clone();
            whole = known.or(Some(Whole { made, prepared }));
            Ok::<_, Error>(Announcement { token, key, plan })
        })?;
        let plan = match (announced.plan, reuse) {
            (Some(NewPlan { digest, common, lists_chunks }), _) => {
                let own = |_: &Progress| Ok::<_, Error>(all_chunks.take().unwrap_or_default());
                let chunks = if lists_chunks { Some(exchange.scatter("chunks", own)?) } else { None };
                ToldPlan::New { digest, common, chunks }
            }
            (None, Some((_, kept))) => ToldPlan::Kept(kept),
            (None, None) => unreachable!("every rank has said that it has this plan"),
        };
        Ok((announced.token, Told { key: announced.key, whole, plan }))
    }

    /// Understands what this rank was told, and keeps it for the next save.
    pub(super) fn keep(&self, Told { key, whole, plan }: Told) -> Result<Arc<Kept>, Error> {
        let rank = self.ctx.rank;
        let (own, digest) = match (plan, &whole) {
            (ToldPlan::Kept(kept), _) => (Arc::clone(&kept.own), kept.digest),
            (ToldPlan::New { digest, .. }, Some(whole)) => (Arc::new(whole.prepared.of_rank(rank)), digest),
            (ToldPlan::New { digest, common, chunks }, None) => {
                (Arc::new(sent::open(rank, &common, chunks.as_ref())?), digest)
            }
        };
        let kept = Arc::new(Kept { key, whole, own, digest });
        *self.saver.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&kept));
        Ok(kept)
    }
}
