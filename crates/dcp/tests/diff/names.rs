//! What differs by name, kind, dtype, shape or value; what is chosen; what an order differences have.

use dcp::{
    Comparer, Comparison, DType, DcpFormat, Error, MemoryStore, Mismatch, NativeFormat, Outcome, Shape, Side,
    StateDict, Value,
};

use crate::support::{compare, compare_with, floats, save, save_as, state, tensor};

fn told(comparison: &Comparison) -> Vec<(&str, &Mismatch)> {
    assert!(comparison.unreadable.is_empty(), "{comparison:?}");
    comparison.differences.iter().map(|difference| (difference.fqn.as_str(), &difference.mismatch)).collect()
}

fn shape(dims: &[u64]) -> Shape {
    Shape::new(dims.iter().copied()).expect("a shape")
}

#[test]
fn everything_that_differs_is_told_in_order() {
    let ints = tensor("dtype", DType::Int32, &[2], &[1i32, 2], i32::to_le_bytes);
    let of_left =
        [floats("gone", &[1], &[1.0]), floats("dtype", &[2], &[1.0, 2.0]), floats("shape", &[2, 3], &[0.0; 6])];
    let of_right = [floats("shape", &[3, 2], &[0.0; 6]), ints, floats("new", &[0], &[])];
    let extra = floats("kind", &[1], &[7.0]);
    let left = save_as(NativeFormat::new(), state(&of_left).with("step", 1).with("kind", 7).with("same", "x"));
    let right = [&of_right[..], &[extra]].concat();
    let right = save_as(DcpFormat::new(), state(&right).with("step", 2).with("same", "x"));
    let comparison = compare(&left, &right);
    assert_eq!(
        told(&comparison),
        [
            ("gone", &Mismatch::OnlyIn(Side::Left)),
            ("dtype", &Mismatch::DType([DType::Float32, DType::Int32])),
            ("shape", &Mismatch::Shape([shape(&[2, 3]), shape(&[3, 2])])),
            ("step", &Mismatch::Value(dcp::crates::dcp_types::StatePath::new(Vec::new()))),
            ("kind", &Mismatch::ValueIn(Side::Left)),
            ("new", &Mismatch::OnlyIn(Side::Right)),
        ]
    );
    assert_eq!((comparison.outcome(), comparison.formats), (Outcome::Different, ["native", "dcp"]));
    assert_eq!((comparison.tensors, comparison.values, comparison.bytes), (0, 2, 0));
    let back = compare(&right, &left);
    assert!(told(&back).contains(&("gone", &Mismatch::OnlyIn(Side::Right))), "{back:?}");
    assert!(told(&back).contains(&("kind", &Mismatch::ValueIn(Side::Right))), "{back:?}");
}

#[test]
fn dtype_and_shape_may_both_differ() {
    let right = tensor("w", DType::Int8, &[3], &[0u8; 3], u8::to_le_bytes);
    let comparison = compare(&save(&[floats("w", &[2], &[0.0; 2])]), &save(&[right]));
    assert!(matches!(told(&comparison)[..], [("w", Mismatch::DType(_)), ("w", Mismatch::Shape(_))]), "{comparison:?}");
}

#[test]
fn values_are_the_same_in_every_format() {
    let values = |lr: f64| {
        let betas = Value::Tuple(vec![0.9.into(), lr.into()]);
        let group = Value::Dict(vec![("betas".into(), betas), ("nan".into(), f64::NAN.into())]);
        StateDict::new().with("groups", Value::Tuple(vec![1.into(), group])).with("step", 7)
    };
    let native = save_as(NativeFormat::new(), values(0.95));
    let comparison = compare(&native, &save_as(DcpFormat::new(), values(0.95)));
    assert_eq!((comparison.outcome(), comparison.values), (Outcome::Same, 2), "{comparison:?}");
    let other = save_as(DcpFormat::new(), values(0.96));
    let comparison = compare(&native, &other);
    let [("groups", Mismatch::Value(place))] = told(&comparison)[..] else { panic!("{comparison:?}") };
    assert_eq!(place.to_string(), "(1)[\"betas\"](1)");
    let tolerant = Comparer::new().atol(0.02).expect("fine");
    assert_eq!(compare_with(tolerant, &native, &other).outcome(), Outcome::Same);
}

#[test]
fn only_what_is_chosen_is_compared() {
    let names = ["a.w", "a.v", "b.w"];
    let state_of = |number: f32| save(&names.map(|name| floats(name, &[1], &[number])));
    let (left, right) = (state_of(1.0), state_of(2.0));
    let chosen = |include: &[&str], exclude: &[&str]| {
        let mut comparer = Comparer::new();
        for pattern in include {
            comparer = comparer.include(pattern).expect("a pattern");
        }
        for pattern in exclude {
            comparer = comparer.exclude(pattern).expect("a pattern");
        }
        let comparison = compare_with(comparer, &left, &right);
        comparison.differences.iter().map(|difference| difference.fqn.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&["a.*"], &[]), ["a.w", "a.v"]);
    assert_eq!(chosen(&[], &["*.w"]), ["a.v"]);
    assert_eq!(chosen(&["{a,b}.w", "a.v"], &["a.w"]), ["a.v", "b.w"]);
    assert!(matches!(Comparer::new().include("[a"), Err(Error::Pattern { .. })));
    let nothing = Comparer::new().include("c.*").expect("a pattern").compare(left.clone(), right.clone());
    assert!(matches!(nothing, Err(Error::NothingChosen { .. })), "{nothing:?}");
}

#[test]
fn nothing_is_the_same_as_nothing() {
    let empty = || save_as(NativeFormat::new(), StateDict::new());
    assert_eq!(compare(&empty(), &empty()).outcome(), Outcome::Same);
    let none = Comparer::new().compare(MemoryStore::new(), empty());
    assert!(matches!(none, Err(Error::Storage(_))), "{none:?}");
}
