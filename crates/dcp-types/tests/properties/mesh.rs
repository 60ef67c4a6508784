//! Meshes against the list of their ranks.

use std::collections::BTreeSet;

use dcp_types::{DeviceMesh, Rank, strategies};
use proptest::collection::vec;
use proptest::prelude::*;

/// All coordinates, in row-major order.
fn coordinates(shape: &[u32]) -> Vec<Vec<u32>> {
    shape.iter().fold(vec![vec![]], |all, &ways| {
        all.iter().flat_map(|start| (0..ways).map(move |c| [start.as_slice(), &[c]].concat())).collect()
    })
}

fn decoded(shape: &[u32], ranks: &serde_json::Value) -> Result<DeviceMesh, serde_json::Error> {
    serde_json::from_value(serde_json::json!([shape, [], ranks]))
}

proptest! {
    #[test]
    fn coordinates_and_ranks_lead_to_each_other(mesh in strategies::sub_meshes(64)) {
        let ranks: Vec<Rank> = mesh.ranks().collect();
        let coordinates = coordinates(mesh.shape());
        prop_assert_eq!((ranks.len(), mesh.size()), (coordinates.len(), coordinates.len() as u64));
        for (&rank, at) in ranks.iter().zip(&coordinates) {
            prop_assert_eq!(mesh.rank_at(at), rank);
            prop_assert_eq!(mesh.coordinate_of(rank), Some(at.clone()));
        }
        let inside: BTreeSet<Rank> = ranks.iter().copied().collect();
        prop_assert_eq!(inside.len(), ranks.len());
        prop_assert_eq!(inside.last().copied(), mesh.ranks().max());
        for outside in (0..66).filter(|rank| !inside.contains(rank)) {
            prop_assert_eq!(mesh.coordinate_of(outside), None);
        }
    }

    #[test]
    fn meshes_come_back(mesh in strategies::sub_meshes(64)) {
        let packed = rmp_serde::to_vec(&mesh).expect("encodes");
        prop_assert_eq!(&rmp_serde::from_slice::<DeviceMesh>(&packed).expect("decodes"), &mesh);
        let text = serde_json::to_string(&mesh).expect("encodes");
        prop_assert_eq!(&serde_json::from_str::<DeviceMesh>(&text).expect("decodes"), &mesh);
    }

    #[test]
    fn equal_ranks_are_equal_meshes_however_they_were_given(mesh in strategies::sub_meshes(64)) {
        let ranks: Vec<Rank> = mesh.ranks().collect();
        let mut again = DeviceMesh::of_ranks(mesh.shape().iter().copied(), ranks.clone()).expect("distinct");
        prop_assert_eq!(&decoded(mesh.shape(), &serde_json::json!({ "l": ranks })).expect("decodes"), &again);
        if !mesh.names().is_empty() {
            again = again.with_names(mesh.names().iter().cloned()).expect("one each");
        }
        prop_assert_eq!(again, mesh);
    }

    #[test]
    fn strides_are_taken_only_if_every_rank_is_reached_once(
        shape in vec(1..5u32, 1..4),
        strides in vec(prop_oneof![0..13u32, Just(u32::MAX / 2)], 3),
        start in prop_oneof![0..9u32, Just(u32::MAX)],
    ) {
        let strides = &strides[..shape.len()];
        let affine = serde_json::json!({ "a": { "start": start, "strides": strides } });
        let reached = coordinates(&shape).into_iter().map(|at| {
            u64::from(start) + at.iter().zip(strides).map(|(&c, &stride)| u64::from(c) * u64::from(stride)).sum::<u64>()
        });
        let reached: Vec<u64> = reached.collect();
        let listed: Result<Vec<Rank>, _> = reached.iter().map(|&rank| Rank::try_from(rank)).collect();
        if let Ok(mesh) = decoded(&shape, &affine) {
            let listed = listed.expect("no rank overflows");
            prop_assert_eq!(&mesh.ranks().collect::<Vec<_>>(), &listed);
            prop_assert_eq!(mesh, DeviceMesh::of_ranks(shape, listed).expect("distinct"));
        } else if let Ok(ranks) = listed {
            // Refused as strides; as a list it is taken if it is a mesh at all.
            let distinct = ranks.iter().collect::<BTreeSet<_>>().len() == ranks.len();
            prop_assert_eq!(DeviceMesh::of_ranks(shape, ranks).is_ok(), distinct);
        }
    }

    #[test]
    fn ranks_that_are_no_mesh_are_refused(mesh in strategies::sub_meshes(32), twice in any::<prop::sample::Index>()) {
        let mut ranks: Vec<Rank> = mesh.ranks().collect();
        ranks.push(1000);
        prop_assert!(DeviceMesh::of_ranks(mesh.shape().iter().copied(), ranks.clone()).is_err());
        ranks.pop();
        if ranks.len() < 2 {
            return Ok(());
        }
        let at = twice.index(ranks.len() - 1);
        ranks[at] = ranks[at + 1];
        prop_assert!(DeviceMesh::of_ranks(mesh.shape().iter().copied(), ranks).is_err());
    }
}
