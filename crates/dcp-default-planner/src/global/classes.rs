//! Ranks that declare the same.

use std::collections::HashMap;
use std::hash::Hash;

use dcp_planner::Declared;
use dcp_types::{DeviceMesh, PlanPart, Rank, RankSet, RegionDecl, SavePlan, TensorDecl, ValueDecl};

/// What is declared, each part once, with the ranks that declare it.
pub(super) struct Classes<'a> {
    /// All ranks, ascending. A rank's index here is its *position*.
    pub(super) ranks: Vec<Rank>,
    /// What declares what, by ascending lowest rank.
    pub(super) groups: Vec<Group<'a>>,
    pub(super) tensors: Vec<Class<'a, TensorDecl>>,
    /// Equal also in the tensors, by whose numbers they go.
    pub(super) regions: Vec<Class<'a, RegionDecl>>,
    pub(super) values: Vec<Class<'a, ValueDecl>>,
}

/// Ranks whose declarations are equal in every part: the numbers of their classes.
pub(super) struct Group<'a> {
    pub(super) declared: &'a Declared,
    pub(super) tensors: usize,
    pub(super) regions: usize,
    pub(super) values: usize,
}

/// Ranks that have one part in common.
pub(super) struct Class<'a, T> {
    pub(super) items: &'a [T],
    pub(super) ranks: RankSet,
    /// The lowest of the ranks.
    pub(super) first: Rank,
    /// The same ranks by the list of meshes that the part's mesh numbers refer to.
    pub(super) by_meshes: Vec<(&'a [DeviceMesh], RankSet)>,
}

impl<'a> Classes<'a> {
    pub(super) fn new(declared: &'a [Declared]) -> Self {
        let mut declared: Vec<_> = declared.iter().filter(|declared| !declared.ranks.is_empty()).collect();
        declared.sort_by_key(|declared| declared.ranks.first());
        let (tensors, of_tensors) = classes(&declared, |plan| &plan.tensors, |plan| plan.tensors.digest());
        let of_both = |plan: &SavePlan| (plan.tensors.digest(), plan.regions.digest());
        let (regions, of_regions) = classes(&declared, |plan| &plan.regions, of_both);
        let (values, of_values) = classes(&declared, |plan| &plan.values, |plan| plan.values.digest());
        let group = |(number, declared): (usize, &&'a Declared)| Group {
            declared,
            tensors: of_tensors[number],
            regions: of_regions[number],
            values: of_values[number],
        };
        let groups = declared.iter().enumerate().map(group).collect();
        Self { ranks: union(&declared).iter().collect(), groups, tensors, regions, values }
    }

    /// The position of a rank; `None` if it declared nothing.
    pub(super) fn position(&self, rank: Rank) -> Option<u32> {
        self.ranks.binary_search(&rank).ok().and_then(|position| u32::try_from(position).ok())
    }
}

/// The classes of one part, told apart by a key, in order of lowest rank, and the class of each group.
fn classes<'a, T, K: Hash + Eq>(
    declared: &[&'a Declared],
    part: impl Fn(&SavePlan) -> &PlanPart<T>,
    key: impl Fn(&SavePlan) -> K,
) -> (Vec<Class<'a, T>>, Vec<usize>) {
    let (members, class_of) = group_by(declared, |declared| key(&declared.plan));
    let class = |members: Vec<&'a Declared>| {
        let (by_meshes, _) = group_by(&members, |declared| declared.plan.meshes.digest());
        let by_meshes = by_meshes.iter().map(|same| (same[0].plan.meshes.items(), union(same))).collect();
        let ranks = union(&members);
        Class { items: part(&members[0].plan).items(), first: ranks.first().unwrap_or(0), ranks, by_meshes }
    };
    (members.into_iter().map(class).collect(), class_of)
}

/// Never empty groups of those with one key, by first appearance, and the number of each one's group.
fn group_by<'a, K: Hash + Eq>(
    declared: &[&'a Declared],
    key: impl Fn(&Declared) -> K,
) -> (Vec<Vec<&'a Declared>>, Vec<usize>) {
    let mut numbers = HashMap::new();
    let mut groups: Vec<Vec<&Declared>> = Vec::new();
    let mut number_of = Vec::with_capacity(declared.len());
    for &one in declared {
        let number = *numbers.entry(key(one)).or_insert(groups.len());
        if number == groups.len() {
            groups.push(Vec::new());
        }
        groups[number].push(one);
        number_of.push(number);
    }
    (groups, number_of)
}

/// All at once: one after the other would be quadratic.
fn union(declared: &[&Declared]) -> RankSet {
    declared.iter().flat_map(|declared| declared.ranks.iter()).collect()
}
