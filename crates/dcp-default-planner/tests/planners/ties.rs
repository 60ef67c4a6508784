//! Tensors that are one memory under several names.

use std::collections::BTreeMap;

use dcp_default_planner::DefaultSavePlanner;
use dcp_planner::SavePlanner;
use dcp_types::{FlatState, LocalTensor, Rank, RankSet, StateDict, flatten_state};
use ndarray::{ArrayD, arr2};

use crate::support::{ctx, gather, names};

/// `in`, `out` and `other`; the first two may be one.
fn state<'a>(weight: &'a ArrayD<f32>, copy: &'a ArrayD<f32>, are_tied: bool) -> FlatState<'a> {
    let tensor = |array: &'a ArrayD<f32>| LocalTensor::whole(array.view()).expect("a tensor");
    let out = tensor(if are_tied { weight } else { copy });
    // A part of the same memory is another tensor.
    let rows = LocalTensor::whole(weight.slice(ndarray::s![..1, ..]).into_dyn()).expect("a tensor");
    flatten_state(StateDict::new().with("in", tensor(weight)).with("out", out).with("rows", rows)).expect("flattens")
}

fn ties(are_tied: [bool; 2]) -> BTreeMap<usize, usize> {
    let (weight, planner, ranks) =
        (arr2(&[[1f32, 2.0], [3.0, 4.0]]).into_dyn(), DefaultSavePlanner::new(), RankSet::from_iter(0..2));
    let copy = weight.clone();
    let plans = (0..2 as Rank).zip(are_tied).map(|(rank, are_tied)| {
        (rank, planner.local_plan(&state(&weight, &copy, are_tied), &ctx(rank, &ranks)).expect("local plan"))
    });
    let plan = planner.global_plan(&gather(plans, 0), &ctx(0, &ranks)).expect("plan");
    assert_eq!(names(&plan), ["in", "out", "rows"]);
    assert_eq!(plan.expand().expect("expands").ties(), plan.ties());
    plan.ties().clone()
}

#[test]
fn names_are_tied_where_all_ranks_say_so() {
    assert_eq!(ties([true, true]), BTreeMap::from([(1, 0)]));
    assert_eq!(ties([true, false]), BTreeMap::new());
    assert_eq!(ties([false, false]), BTreeMap::new());
}
