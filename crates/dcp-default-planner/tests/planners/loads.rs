//! Checkpoints that do not have exactly what is wanted.

use dcp_default_planner::{DefaultLoadPlanner, DefaultSavePlanner};
use dcp_planner::{LeafKind, LoadPlan, LoadPlanner, PlanContext, PlanError, Problem};
use dcp_types::{
    DType, Dest, Fqn, Metadata, StateTarget, TargetLeaf, TargetTensor, TensorSpec, ViewMut, flatten_target,
};

use crate::support::*;

/// A checkpoint with a matrix, a vector and a value.
fn saved() -> std::sync::Arc<Metadata> {
    let named = vec![("m", replicated(&[2, 3])), ("v", replicated(&[4])), ("step", value(3))];
    plan(&DefaultSavePlanner::new(), &everywhere(1, &named)).expect("plan").metadata().clone()
}

type Wanted = (&'static str, Option<(DType, Vec<u64>)>);

fn tensor(name: &'static str, dtype: DType, shape: &[u64]) -> Wanted {
    (name, Some((dtype, shape.to_vec())))
}

fn local(planner: &DefaultLoadPlanner, wanted: &[Wanted]) -> LoadPlan {
    let mut memory: Vec<Vec<u8>> = wanted.iter().map(|_| vec![0; 64]).collect();
    let mut target = StateTarget::new();
    for ((name, wanted), memory) in wanted.iter().zip(&mut memory) {
        match wanted {
            None => target.insert(*name, TargetLeaf::Value),
            Some((dtype, shape)) => {
                let nbytes = (shape.iter().product::<u64>() * dtype.size()) as usize;
                let view = ViewMut::from_bytes(*dtype, shape, &mut memory[..nbytes]).expect("view");
                let spec = TensorSpec::replicated(*dtype, &shape[..]).expect("spec");
                target.insert(*name, TargetTensor::new(spec, view));
            }
        }
    }
    let target = flatten_target(target).expect("flattens");
    planner.local_plan(&saved(), &target, &PlanContext::single()).expect("local plan")
}

fn judge(planner: &DefaultLoadPlanner, wanted: &[Wanted]) -> Result<LoadPlan, PlanError> {
    let plan = local(planner, wanted);
    planner.global_plan(&saved(), &plan.named, plan.problems.clone(), &PlanContext::single()).map(|()| plan)
}

#[test]
fn everything_that_differs_is_in_one_report() {
    let wanted = [
        tensor("m", DType::UInt32, &[3, 2]),
        tensor("v", DType::Float32, &[4]),
        tensor("step", DType::Int64, &[]),
        tensor("bias", DType::UInt32, &[1]),
    ];
    let error = judge(&DefaultLoadPlanner::new(), &wanted).expect_err("nothing fits");
    let PlanError::Mismatch(problems) = &error else { panic!("{error:?}") };
    assert_eq!(
        problems[..],
        [
            Problem::Missing { fqn: "bias".into() },
            Problem::Kind { fqn: "step".into(), saved: LeafKind::Value, wanted: LeafKind::Tensor },
            Problem::Shape { fqn: "m".into(), saved: vec![2, 3], wanted: vec![3, 2] },
            Problem::DType { fqn: "v".into(), saved: DType::UInt32, wanted: DType::Float32 },
        ]
    );
    let value_wanted = local(&DefaultLoadPlanner::new(), &[("m", None)]);
    let kind = Problem::Kind { fqn: "m".into(), saved: LeafKind::Tensor, wanted: LeafKind::Value };
    assert_eq!(value_wanted.problems, [kind]);
}

#[test]
fn partial_loads_are_asked_for() {
    let wanted = [tensor("m", DType::UInt32, &[2, 3]), ("epoch", None)];
    let problems = |planner| match judge(&planner, &wanted) {
        Ok(_) => 0,
        Err(PlanError::Mismatch(problems)) => problems.len(),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(problems(DefaultLoadPlanner::new()), 3);
    assert_eq!(problems(DefaultLoadPlanner::new().allow_missing(true)), 2);
    assert_eq!(problems(DefaultLoadPlanner::new().allow_unexpected(true)), 1);
    assert_eq!(problems(DefaultLoadPlanner::new().partial()), 0);
    // Where both have something, it must fit.
    let wrong_shape = [tensor("m", DType::UInt32, &[6])];
    assert!(judge(&DefaultLoadPlanner::new().partial(), &wrong_shape).is_err());
}

#[test]
fn names_are_looked_up_as_the_checkpoint_has_them() {
    let planner = DefaultLoadPlanner::new().partial().rename(|name| name.as_str().replace("model.", "").into());
    let plan = judge(&planner, &[tensor("model.m", DType::UInt32, &[2, 3]), ("model.step", None)]).expect("fits");
    assert_eq!((plan.tensors[0].target.as_str(), plan.tensors[0].entry), ("model.m", 0));
    assert_eq!((plan.values[0].target.as_str(), plan.values[0].entry), ("model.step", 2));
    assert_eq!(plan.named.iter().collect::<Vec<_>>(), [0, 2]);
    assert!(format!("{planner:?}").contains("rename: true"));
}

#[test]
fn tensors_are_converted_when_asked() {
    let planner = DefaultLoadPlanner::new().partial().convert_dtypes(true);
    let plan = judge(&planner, &[tensor("v", DType::Float64, &[4])]).expect("fits");
    let read = &plan.tensors[0];
    assert_eq!((read.stored, read.wanted), (DType::UInt32, DType::Float64));

    let mut memory = [0f64; 4];
    let view = ViewMut::from_array(ndarray::ArrayViewMut1::from(&mut memory[..]).into_dyn());
    let Dest::Sink(mut sink) = planner.wrap(read, Dest::Memory(view)).expect("wraps") else { panic!("not a sink") };
    let bytes: Vec<u8> = [1u32, 2, 3, u32::MAX].into_iter().flat_map(u32::to_ne_bytes).collect();
    sink.write(&bytes).expect("takes");
    drop(sink);
    assert_eq!(memory, [1.0, 2.0, 3.0, 4_294_967_295.0]);

    let mut memory = [0f64; 4];
    let view = ViewMut::from_array(ndarray::ArrayViewMut1::from(&mut memory[..]).into_dyn());
    let strict = DefaultLoadPlanner::new();
    let refused = strict.wrap(read, Dest::Memory(view));
    assert!(matches!(refused, Err(PlanError::Unsupported { from: DType::UInt32, to: DType::Float64, .. })));
}

#[test]
fn conversions_that_do_not_exist_are_problems_too() {
    let planner = DefaultLoadPlanner::new().partial().convert_dtypes(true);
    let error = judge(&planner, &[tensor("v", DType::Float4E2M1FnX2, &[4])]).expect_err("no conversion");
    let PlanError::Mismatch(problems) = error else { panic!("{error}") };
    let fqn = Fqn::from("v");
    let (saved, wanted) = (DType::UInt32, DType::Float4E2M1FnX2);
    assert_eq!(problems, [Problem::Conversion { fqn, saved, wanted }]);
}

#[test]
fn a_target_that_contradicts_itself_is_an_error() {
    let mut memory = [0u32; 3];
    let view = ViewMut::from_array(ndarray::ArrayViewMut1::from(&mut memory[..]).into_dyn());
    let spec = TensorSpec::replicated(DType::UInt32, [4]).expect("spec");
    let target = flatten_target(StateTarget::new().with("v", TargetTensor::new(spec, view))).expect("flattens");
    let error = DefaultLoadPlanner::new().local_plan(&saved(), &target, &PlanContext::single()).expect_err("shape");
    assert_eq!((error.kind(), error.fqn()), ("types", Some(&"v".into())));
}
