//! What all ranks have declared, out of what the coordinator hears: digests from each of them, and every distinct content once.

use std::collections::HashMap;

use dcp_types::{DeviceMesh, Digest, PlanPart, Rank, RankSet, RegionDecl, SavePlan, StatePath, TensorDecl, ValueDecl};
use serde::{Deserialize, Serialize};

use crate::{Declared, PlanError};

/// The digests of what a rank declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartDigests {
    /// Of its meshes.
    pub meshes: Digest,
    /// Of its tensors.
    pub tensors: Digest,
    /// Of its explicit regions.
    pub regions: Digest,
    /// Of its values.
    pub values: Digest,
}

impl PartDigests {
    /// Those of a plan.
    #[must_use]
    pub fn of(plan: &SavePlan) -> Self {
        let (meshes, tensors) = (plan.meshes.digest(), plan.tensors.digest());
        Self { meshes, tensors, regions: plan.regions.digest(), values: plan.values.digest() }
    }
}

/// Every distinct content of each part, by its digest.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    /// Of meshes.
    pub meshes: HashMap<Digest, PlanPart<DeviceMesh>>,
    /// Of tensors.
    pub tensors: HashMap<Digest, PlanPart<TensorDecl>>,
    /// Of explicit regions.
    pub regions: HashMap<Digest, PlanPart<RegionDecl>>,
    /// Of values.
    pub values: HashMap<Digest, PlanPart<ValueDecl>>,
}

impl Declarations {
    /// Ranks that have declared the same, together, in the order of their lowest rank. The coordinator's group has the order of its tree.
    ///
    /// # Errors
    /// [`PlanError::Custom`] if a rank has declared what is not here.
    pub fn groups(
        &self,
        said: impl IntoIterator<Item = (Rank, PartDigests)>,
        coordinator: Rank,
        order: &[StatePath],
    ) -> Result<Vec<Declared>, PlanError> {
        let mut ranks: HashMap<PartDigests, Vec<Rank>> = HashMap::new();
        for (rank, digests) in said {
            ranks.entry(digests).or_default().push(rank);
        }
        let group = |(digests, ranks): (PartDigests, Vec<Rank>)| {
            let ranks: RankSet = ranks.into_iter().collect();
            let order = if ranks.contains(coordinator) { order.to_vec() } else { Vec::new() };
            let missing = || PlanError::custom(format!("what the ranks {ranks:?} have declared did not arrive"));
            let plan = self.plan(digests, order).ok_or_else(missing)?;
            Ok(Declared { ranks, plan })
        };
        let mut groups = ranks.into_iter().map(group).collect::<Result<Vec<_>, PlanError>>()?;
        groups.sort_by_key(|group| group.ranks.first());
        Ok(groups)
    }

    fn plan(&self, digests: PartDigests, order: Vec<StatePath>) -> Option<SavePlan> {
        Some(SavePlan {
            meshes: self.meshes.get(&digests.meshes)?.clone(),
            tensors: self.tensors.get(&digests.tensors)?.clone(),
            regions: self.regions.get(&digests.regions)?.clone(),
            values: self.values.get(&digests.values)?.clone(),
            order,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(meshes: Vec<DeviceMesh>) -> SavePlan {
        SavePlan {
            meshes: PlanPart::new(meshes).expect("encodes"),
            tensors: PlanPart::new(Vec::new()).expect("encodes"),
            regions: PlanPart::new(Vec::new()).expect("encodes"),
            values: PlanPart::new(Vec::new()).expect("encodes"),
            order: Vec::new(),
        }
    }

    #[test]
    fn ranks_that_declare_the_same_are_one_group() {
        let plans = [plan(vec![DeviceMesh::new([2]).expect("mesh")]), plan(Vec::new())];
        let mut all = Declarations::default();
        for SavePlan { meshes, tensors, regions, values, .. } in plans.clone() {
            all.meshes.insert(meshes.digest(), meshes);
            all.tensors.insert(tensors.digest(), tensors);
            all.regions.insert(regions.digest(), regions);
            all.values.insert(values.digest(), values);
        }
        let said = [(4, 0), (1, 1), (3, 1)].map(|(rank, which)| (rank, PartDigests::of(&plans[which])));
        let order = [StatePath::new(Vec::new())];
        let groups = all.groups(said, 3, &order).expect("all is there");
        let seen: Vec<_> = groups.iter().map(|group| (group.ranks.clone(), group.plan.order.len())).collect();
        assert_eq!(seen, [([1, 3].into_iter().collect(), 1), ([4].into_iter().collect(), 0)]);
        assert_eq!(groups[1].plan.meshes, plans[0].meshes);

        all.meshes.remove(&plans[0].meshes.digest());
        let error = all.groups(said, 3, &order).expect_err("a part is missing");
        assert!(error.to_string().contains('4'), "{error}");
    }
}
