//! Whether a checkpoint fits what is to be loaded: strictly, partly, converted, renamed.

use dcp::{
    DefaultLoadPlanner, Error, Fqn, Loaded, LoadedLeaf, Loader, LocalTensor, MemoryStore, PlanError, Problem, Saver,
    StateDict, StateTarget, TargetLeaf, TargetTensor,
};
use dcp_tests::Group;
use ndarray::{Array1, Array2, arr1};

use crate::planners::Astray;

fn saved() -> MemoryStore {
    let store = MemoryStore::new();
    let (weight, bias) = (Array2::<f32>::from_elem((4, 8), 1.5), arr1(&[1i64, -2, 3]));
    let tensor = |array| LocalTensor::whole(array).expect("tensor");
    let model = StateDict::new()
        .with("weight", tensor(weight.view().into_dyn()))
        .with("bias", LocalTensor::whole(bias.view().into_dyn()).expect("tensor"))
        .with("scale", 2.5);
    let state = StateDict::new().with("model", model).with("step", 9).with("old", "x");
    Saver::new().save_dict(&state, store.clone()).expect("saves");
    store
}

fn value(loaded: &Loaded, key: &str) -> Option<dcp::Value> {
    match loaded.get(key) {
        Some(dcp_types::Tree::Leaf(leaf)) => leaf.value().cloned(),
        _ => None,
    }
}

/// A plan that is not followed in full must not look like a load.
#[test]
fn a_planner_that_goes_astray_is_told_so() {
    let store = saved();
    for target in [None, Some("model.elsewhere")] {
        let (mut weight, mut bias) = (Array2::<f32>::zeros((4, 8)), Array1::<i64>::zeros(3));
        let model = StateTarget::new()
            .with("weight", TargetTensor::whole(weight.view_mut().into_dyn()).expect("target"))
            .with("bias", TargetTensor::whole(bias.view_mut().into_dyn()).expect("target"))
            .with("scale", TargetLeaf::Value);
        let all =
            StateTarget::new().with("model", model).with("step", TargetLeaf::Value).with("old", TargetLeaf::Value);
        let outcome = Loader::new().planner(Astray(target)).load_into(all, store.clone());
        let named = target.unwrap_or("model.weight");
        assert!(matches!(&outcome, Err(Error::Plan(error)) if error.to_string().contains(named)), "{outcome:?}");
        assert!(weight.iter().all(|element| *element == 0.0), "no buffer is touched");
    }
}

#[test]
fn everything_that_does_not_fit_is_in_one_report_on_every_rank() {
    let store = saved();
    let outcomes = Group { world: 3, members: vec![0, 1, 2], coordinator: 2 }.run(|collective, rank| {
        let (mut weight, mut bias) = (Array2::<f32>::zeros((8, 4)), Array1::<f32>::zeros(3));
        let (mut scale, mut extra) = (Array1::<f32>::zeros(1), Array1::<f32>::zeros(1));
        let model = match rank {
            0 => StateTarget::new().with("weight", TargetTensor::whole(weight.view_mut().into_dyn()).expect("target")),
            1 => StateTarget::new()
                .with("bias", TargetTensor::whole(bias.view_mut().into_dyn()).expect("target"))
                .with("head", TargetTensor::whole(extra.view_mut().into_dyn()).expect("target")),
            _ => StateTarget::new().with("scale", TargetTensor::whole(scale.view_mut().into_dyn()).expect("target")),
        };
        let target = StateTarget::new().with("model", model).with("step", TargetLeaf::Value);
        let target = if rank == 0 { target.with("rng", TargetLeaf::Value) } else { target };
        let outcome = Loader::new().group(collective).coordinator(2).load_into(target, store.clone());
        assert!(weight.iter().chain(&bias).chain(&scale).all(|element| *element == 0.0), "no buffer is touched");
        outcome.map(|_| ()).expect_err("it does not fit")
    });
    let report = "\
the checkpoint does not fit what is to be loaded
  missing from the checkpoint: 2
    model.head
    rng
  in the checkpoint, but not wanted by any rank: 1
    old
  tensor or value: 1
    model.scale: saved a value, wanted a tensor
  another shape: 1
    model.weight: saved [4, 8], wanted [8, 4]
  another dtype (conversion was not asked for): 1
    model.bias: saved int64, wanted float32";
    let [first, second, coordinator] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(coordinator.to_string(), report);
    assert!(
        matches!(coordinator, Error::Plan(error) if matches!(&**error, PlanError::Mismatch(all) if all.len() == 6))
    );
    for other in [first, second] {
        assert_eq!(other.ranks(), [2]);
        assert!(other.to_string().contains(report), "{other}");
    }
}

/// A target that has some of the checkpoint's names, and some that it lacks.
fn half<'a>(weight: &'a mut Array2<f32>, other: &'a mut Array1<f32>) -> StateTarget<'a> {
    let model = StateTarget::new()
        .with("weight", TargetTensor::whole(weight.view_mut().into_dyn()).expect("target"))
        .with("head", TargetTensor::whole(other.view_mut().into_dyn()).expect("target"));
    StateTarget::new().with("model", model).with("step", TargetLeaf::Value).with("rng", TargetLeaf::Value)
}

#[test]
fn a_partial_load_takes_what_is_on_both_sides() {
    let store = saved();
    let mut weight = Array2::<f32>::zeros((4, 8));
    let mut other = Array1::<f32>::from_elem(2, 7.0);
    let planners = [
        (DefaultLoadPlanner::new(), 5),
        (DefaultLoadPlanner::new().allow_missing(true), 3),
        (DefaultLoadPlanner::new().allow_unexpected(true), 2),
    ];
    for (planner, expected) in planners {
        let target = half(&mut weight, &mut other);
        let outcome = Loader::new().planner(planner).load_into(target, store.clone()).map(|_| ());
        assert!(
            matches!(&outcome, Err(Error::Plan(error)) if matches!(&**error, PlanError::Mismatch(all) if all.len() == expected)),
            "{outcome:?}"
        );
    }
    let planner = DefaultLoadPlanner::new().partial();
    let target = half(&mut weight, &mut other);
    let (loaded, _) = Loader::new().planner(planner).load_into(target, store).expect("loads");
    assert_eq!(value(&loaded, "step"), Some(9.into()));
    // What was left out is not there, and keeps its content.
    assert_eq!(loaded.get("rng"), None);
    let Some(dcp_types::Tree::Dict(model)) = loaded.get("model") else { panic!("{loaded:?}") };
    assert_eq!((model.len(), model.get("weight")), (1, Some(&LoadedLeaf::InPlace.into())));
    assert_eq!((weight[[3, 7]], other), (1.5, Array1::from_elem(2, 7.0)));
}

#[test]
fn dtypes_are_converted_only_when_asked() {
    let store = saved();
    let mut bias = Array1::<f32>::zeros(3);
    let load = |bias: &mut Array1<f32>, planner: DefaultLoadPlanner| {
        let bias = TargetTensor::whole(bias.view_mut().into_dyn()).expect("target");
        let target = StateTarget::new().with("model", StateTarget::new().with("bias", bias));
        Loader::new().planner(planner.allow_unexpected(true)).load_into(target, store.clone()).map(|_| ())
    };
    let refused = load(&mut bias, DefaultLoadPlanner::new());
    let problem =
        |error: &PlanError| matches!(error, PlanError::Mismatch(all) if matches!(all[..], [Problem::DType { .. }]));
    assert!(matches!(&refused, Err(Error::Plan(error)) if problem(error)), "{refused:?}");
    assert_eq!(bias, Array1::<f32>::zeros(3));
    load(&mut bias, DefaultLoadPlanner::new().convert_dtypes(true)).expect("loads");
    assert_eq!(bias, arr1(&[1.0, -2.0, 3.0]));
}

#[test]
fn names_can_differ() {
    let mut weight = Array2::<f32>::zeros((4, 8));
    let net = StateTarget::new().with("weight", TargetTensor::whole(weight.view_mut().into_dyn()).expect("target"));
    let target = StateTarget::new().with("net", net).with("count", TargetLeaf::Value);
    let saved_name = |name: &Fqn| match name.as_str() {
        "count" => Fqn::from("step"),
        other => Fqn::from(other.replacen("net", "model", 1)),
    };
    let planner = DefaultLoadPlanner::new().allow_unexpected(true).rename(saved_name);
    let (loaded, report) = Loader::new().planner(planner).load_into(target, saved()).expect("loads");
    assert_eq!(value(&loaded, "count"), Some(9.into()));
    assert!(weight.iter().all(|element| *element == 1.5));
    assert!(report.total().needed > 4 * 8 * 4);
}
