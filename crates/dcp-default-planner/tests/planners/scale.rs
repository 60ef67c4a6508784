//! Plans for thousands of ranks. A planner that looks at every pair of anything does not come to an end here.

use std::sync::Arc;

use dcp_default_planner::DefaultSavePlanner;
use dcp_planner::{Declared, SavePlanner};
use dcp_types::{
    DType, DeviceMesh, Digest, GlobalPlan, Placement, PlanPart, Rank, RankSet, SavePlan, Segment, Shape, ShardingDecl,
    StatePath, TensorDecl, ValueDecl,
};

use crate::support::{ctx, names};

const RANKS: u32 = 2048;
const TENSORS: u64 = 200;
const TP: u32 = 8;

fn path(name: String) -> StatePath {
    StatePath::new(vec![Segment::Key(name.into())])
}

fn tensors(placements: &[Placement]) -> PlanPart<TensorDecl> {
    let tensor = |number| TensorDecl {
        path: path(format!("layers.{number}")),
        dtype: DType::BFloat16,
        shape: Shape::new([4096 + number, 1024]).expect("shape"),
        // Every tenth is small and on every rank.
        sharding: match number % 10 {
            0 => ShardingDecl::Replicated,
            _ => ShardingDecl::Mesh(0, placements.into()),
        },
        tied: None,
    };
    PlanPart::new((0..TENSORS).map(tensor).collect()).expect("part")
}

fn private_values(rank: Rank) -> PlanPart<ValueDecl> {
    let shared = ValueDecl { path: path("step".into()), object: false, content: Digest::of(b"17") };
    let own = ValueDecl { path: path(format!("rng.{rank}")), object: false, content: Digest::of(&rank.to_ne_bytes()) };
    PlanPart::new(vec![shared, own]).expect("part")
}

fn planned(declared: Vec<Declared>) -> GlobalPlan {
    let ranks = RankSet::from_iter(0..RANKS);
    DefaultSavePlanner::new().global_plan(&declared, &ctx(0, &ranks)).expect("plan")
}

#[test]
fn one_mesh_and_private_values() {
    let mesh = PlanPart::new(vec![DeviceMesh::new([RANKS / TP, TP]).expect("mesh")]).expect("part");
    let tensors = tensors(&[Placement::Replicate, Placement::Shard(0)]);
    let regions = PlanPart::new(vec![]).expect("part");
    let declared = (0..RANKS).rev().map(|rank| Declared {
        ranks: RankSet::from_iter([rank]),
        plan: SavePlan {
            meshes: mesh.clone(),
            tensors: tensors.clone(),
            regions: regions.clone(),
            values: private_values(rank),
            order: Vec::new(),
        },
    });
    let plan = planned(declared.collect());
    assert_eq!(plan.metadata().len() as u64, TENSORS + 1 + u64::from(RANKS));
    assert_eq!(&names(&plan)[TENSORS as usize..][..3], ["step", "rng.0", "rng.1"]);
    let busiest = (0..RANKS).map(|rank| plan.items_of(rank).len()).max();
    assert!(busiest <= Some(4), "{busiest:?}");
}

#[test]
fn a_mesh_for_each_group_of_ranks() {
    let tensors = tensors(&[Placement::Shard(1)]);
    let empty = (PlanPart::new(vec![]).expect("part"), PlanPart::new(vec![]).expect("part"));
    let declared = (0..RANKS / TP).map(|group| {
        let ranks: Vec<Rank> = (group * TP..(group + 1) * TP).collect();
        let mesh = DeviceMesh::of_ranks([TP], ranks.clone()).expect("mesh");
        Declared {
            ranks: ranks.into_iter().collect(),
            plan: SavePlan {
                meshes: PlanPart::new(vec![mesh]).expect("part"),
                tensors: tensors.clone(),
                regions: empty.0.clone(),
                values: empty.1.clone(),
                order: Vec::new(),
            },
        }
    });
    let plan = planned(declared.collect());
    let meshes: Vec<Arc<DeviceMesh>> = plan
        .metadata()
        .entries()
        .filter_map(|(_, entry)| match &entry.as_tensor()?.chunks {
            dcp_types::Chunks::Grid(grid) => Some(Arc::clone(grid.mesh())),
            _ => None,
        })
        .collect();
    assert_eq!(meshes.len() as u64, TENSORS * 9 / 10);
    assert!(meshes.iter().all(|mesh| Arc::ptr_eq(mesh, &meshes[0])), "one mesh, however many tensors");
    assert_eq!(meshes[0].shape(), [RANKS / TP, TP]);
}
