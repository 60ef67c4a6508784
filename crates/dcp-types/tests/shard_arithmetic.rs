//! Which part of a tensor each rank holds, against what PyTorch itself says (`tests/fixtures/shard-arithmetic`).

use std::fs;
use std::sync::Arc;

use dcp_types::{DeviceMesh, Placement, Rank, Shape, ShardGrid};
use serde_json::Value;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/shard-arithmetic/torch-2.15.0.json");

struct Case {
    what: String,
    shape: Vec<u64>,
    mesh: Arc<DeviceMesh>,
    placements: Vec<Placement>,
    indices_dim: Option<usize>,
    ranks: Vec<Value>,
}

impl Case {
    fn grid(&self) -> ShardGrid {
        let shape = Shape::new(self.shape.iter().copied()).expect("shape");
        ShardGrid::new(shape, Arc::clone(&self.mesh), self.placements.clone()).expect("valid in PyTorch")
    }

    /// The indices that a rank holds along one dimension, as runs (start, length) in the order of its buffer.
    ///
    /// The dimension is taken as a tensor of its own: of a tensor that is empty along another one, a rank holds no part.
    fn runs(&self, dim: usize, rank: Rank) -> Vec<(u64, u64)> {
        let own = |&placement: &Placement| match placement {
            Placement::Shard(at) if at as usize == dim => Placement::Shard(0),
            Placement::StridedShard { dim: at, split_factor } if at as usize == dim => {
                Placement::StridedShard { dim: 0, split_factor }
            }
            _ => Placement::Replicate,
        };
        let shape = Shape::new([self.shape[dim]]).expect("shape");
        let placements = self.placements.iter().map(own).collect();
        let row = ShardGrid::new(shape, Arc::clone(&self.mesh), placements).expect("valid in PyTorch");
        row.held_by(rank).iter().map(|held| (held.region.offsets()[0], held.region.sizes()[0])).collect()
    }

    /// Where a rank's part begins, by PyTorch's convention: where nothing is left along a sharded dimension, at its end.
    fn global_offset(&self, rank: Rank) -> Vec<u64> {
        let offset = |dim: usize| match self.runs(dim, rank).first() {
            Some(&(start, _)) => start,
            None if self.placements.iter().any(|placement| placement.dim() == Some(dim)) => self.shape[dim],
            None => 0,
        };
        (0..self.shape.len()).map(offset).collect()
    }
}

fn numbers(list: &Value) -> Option<Vec<u64>> {
    list.as_array().map(|list| list.iter().map(|number| number.as_u64().expect("a number")).collect())
}

fn placement(text: &str) -> Placement {
    let arguments: Vec<u32> =
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    match (text.split('(').next(), arguments.as_slice()) {
        (Some("Replicate"), []) => Placement::Replicate,
        (Some("Shard"), &[dim]) => Placement::Shard(dim),
        (Some("StridedShard"), &[dim, split_factor]) => Placement::StridedShard { dim, split_factor },
        _ => panic!("placement {text:?}"),
    }
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(FIXTURE).expect("the fixture");
    let fixture: Value = serde_json::from_str(&text).expect("JSON");
    let case = |case: &Value| {
        let list = |key: &str| numbers(&case[key]).expect("a list");
        let placements = case["placements"].as_array().expect("a list").iter();
        Case {
            what: format!("{} on {} as {}", case["shape"], case["mesh"], case["placements"]),
            shape: list("shape"),
            mesh: Arc::new(DeviceMesh::new(list("mesh").into_iter().map(|ways| ways as u32)).expect("mesh")),
            placements: placements.map(|text| placement(text.as_str().expect("text"))).collect(),
            indices_dim: case["indices_dim"].as_u64().map(|dim| dim as usize),
            ranks: case["ranks"].as_array().expect("a list").clone(),
        }
    };
    let cases: Vec<Case> = fixture["cases"].as_array().expect("a list").iter().map(case).collect();
    assert!(cases.len() > 500, "only {} cases", cases.len());
    cases
}

#[test]
fn local_shapes_are_pytorchs() {
    for case in cases() {
        let grid = case.grid();
        assert_eq!(case.ranks.len() as u64, case.mesh.size(), "{}", case.what);
        for (rank, expected) in (0..).zip(&case.ranks) {
            // None where PyTorch disagrees with itself; the indices are compared below.
            if let Some(local_shape) = numbers(&expected["local_shape"]) {
                assert_eq!(grid.local_shape(rank), Some(local_shape), "rank {rank} of {}", case.what);
            }
        }
    }
}

#[test]
fn global_offsets_are_pytorchs() {
    for case in cases() {
        let grid = case.grid();
        for (rank, expected) in (0..).zip(&case.ranks) {
            let Some(global_offset) = numbers(&expected["global_offset"]) else { continue };
            assert_eq!(case.global_offset(rank), global_offset, "rank {rank} of {}", case.what);
            if let Some(first) = grid.held_by(rank).first() {
                assert_eq!(first.region.offsets(), global_offset, "rank {rank} of {}", case.what);
            }
        }
    }
}

#[test]
fn strided_indices_are_pytorchs() {
    let (mut compared, mut disputed) = (0, 0);
    for case in cases() {
        let Some(dim) = case.indices_dim else { continue };
        let grid = case.grid();
        for (rank, expected) in (0..).zip(&case.ranks) {
            // Where PyTorch's arithmetic and its FSDP disagree, what FSDP really holds.
            let in_shard_order = numbers(&expected["shard_order_indices"]);
            disputed += u32::from(in_shard_order.is_some());
            let indices = in_shard_order.or_else(|| numbers(&expected["indices"])).expect("listed for this dimension");
            let own: Vec<u64> = case.runs(dim, rank).into_iter().flat_map(|(start, len)| start..start + len).collect();
            assert_eq!(own, indices, "rank {rank} of {}", case.what);
            let extent = grid.local_shape(rank).map(|local_shape| local_shape[dim]);
            assert_eq!(extent, Some(indices.len() as u64), "rank {rank} of {}", case.what);
            compared += 1;
        }
    }
    assert!(compared > 1000 && disputed > 10, "only {compared} ranks, {disputed} disputed");
}
