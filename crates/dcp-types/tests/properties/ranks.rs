//! Sets of ranks against the standard library's.

use std::collections::BTreeSet;

use dcp_types::{Rank, RankSet};
use proptest::collection::vec;
use proptest::prelude::*;

/// Ranks of which many are neighbours, the largest there can be among them.
fn ranks() -> impl Strategy<Value = Vec<Rank>> {
    vec(prop_oneof![4 => 0..40u32, 1 => u32::MAX - 3..=u32::MAX], 0..40)
}

proptest! {
    #[test]
    fn a_set_is_a_set(ranks in ranks()) {
        let set: RankSet = ranks.iter().copied().collect();
        let model: BTreeSet<Rank> = ranks.iter().copied().collect();
        prop_assert_eq!((set.len(), set.is_empty(), set.first()), (model.len(), model.is_empty(), model.first().copied()));
        prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
        for rank in (0..42).chain(u32::MAX - 4..=u32::MAX) {
            prop_assert_eq!(set.contains(rank), model.contains(&rank));
        }
    }

    #[test]
    fn a_union_is_a_union(a in ranks(), b in ranks()) {
        let mut set: RankSet = a.iter().copied().collect();
        set.extend(&b.iter().copied().collect());
        let both: RankSet = a.iter().chain(&b).copied().collect();
        prop_assert_eq!(set, both);
    }

    #[test]
    fn sets_come_back(ranks in ranks()) {
        let set: RankSet = ranks.into_iter().collect();
        let encoded = rmp_serde::to_vec(&set).expect("encodes");
        prop_assert_eq!(rmp_serde::from_slice::<RankSet>(&encoded).expect("decodes"), set);
    }

    #[test]
    fn ranges_that_are_no_set_are_refused(ranges in vec((0..20u32, 0..20u32), 0..4)) {
        let model: BTreeSet<Rank> = ranges.iter().flat_map(|&(first, last)| first..=last).collect();
        let encoded = rmp_serde::to_vec(&ranges).expect("encodes");
        match rmp_serde::from_slice::<RankSet>(&encoded) {
            Ok(set) => prop_assert_eq!(set, model.into_iter().collect::<RankSet>()),
            Err(_) => {
                let canonical: RankSet = model.into_iter().collect();
                prop_assert_ne!(rmp_serde::to_vec(&canonical).expect("encodes"), encoded);
            }
        }
    }
}
