//! Plain values.

use proptest::collection::vec;
use proptest::num::f64;
use proptest::prelude::{Just, any, prop_oneof};
use proptest::sample::select;
use proptest::strategy::Strategy;

use crate::{Opaque, TensorValue, Typed, Value};

/// Values nested a few levels deep: any bits in floats (NaNs with payloads among them), integers at the ends of their range,
/// foreign objects, values with a type, tensors with any strides.
///
/// Compare them encoded: a NaN is not equal to itself.
pub fn values() -> impl Strategy<Value = Value> + Clone {
    plain().prop_recursive(4, 24, 4, |inner| {
        let items = || vec(inner.clone(), 0..4);
        let entries = vec((super::dict_keys(), inner.clone()), 0..4).prop_map(|mut entries| {
            let mut seen = std::collections::HashSet::new();
            entries.retain(|(key, _)| seen.insert(key.clone()));
            entries
        });
        prop_oneof![
            items().prop_map(Value::List),
            items().prop_map(Value::Tuple),
            entries.prop_map(Value::Dict),
            typed(inner).prop_map(Value::Typed),
        ]
    })
}

fn plain() -> impl Strategy<Value = Value> + Clone {
    let floats = || prop_oneof![f64::ANY, any::<u64>().prop_map(std::primitive::f64::from_bits)];
    let above_int = (i64::MAX as u64 + 1)..=u64::MAX;
    prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)].prop_map(Value::Int),
        above_int.prop_map(Value::UInt),
        floats().prop_map(Value::Float),
        (floats(), floats()).prop_map(|(real, imaginary)| Value::Complex(real, imaginary)),
        ".{0,8}".prop_map(Value::from),
        vec(any::<u8>(), 0..40).prop_map(Value::from),
        opaque().prop_map(Value::Opaque),
        tensors().prop_map(Value::Tensor),
    ]
}

/// The names that are used, mostly around something that is not of that type.
fn typed(inner: impl Strategy<Value = Value> + Clone) -> impl Strategy<Value = Typed> + Clone {
    let names = select(&[Typed::SET, Typed::TORCH_SIZE, Typed::DICT, Typed::TORCH_PARAMETER, Typed::INT, "a.b.C"]);
    let typed = (names, inner).prop_map(|(name, value)| Typed::new(name, value));
    typed.prop_filter("said plainly", |typed| !is_plainer(typed))
}

/// Whether a value says in a special way what can be said plainly: other languages have one form for both.
fn is_plainer(typed: &Typed) -> bool {
    let has_plain_key = |pair: &Value| match pair {
        Value::Tuple(pair) => matches!(pair.first(), Some(Value::Str(_) | Value::Int(_))),
        _ => false,
    };
    match (&*typed.name, &*typed.value) {
        (Typed::DICT, Value::List(pairs)) => pairs.iter().all(has_plain_key),
        (Typed::INT, Value::Str(digits)) => {
            digits.parse::<i128>().is_ok_and(|int| (i64::MIN.into()..=u64::MAX.into()).contains(&int))
        }
        _ => false,
    }
}

/// Tensors that look into a storage through strides: overlapping, transposed, with gaps, expanded, empty.
fn tensors() -> impl Strategy<Value = TensorValue> + Clone {
    let strides = vec(0..4u64, 3);
    (super::dtypes(), super::shapes_up_to(3, 3), strides, 0..4u64, any::<bool>()).prop_flat_map(
        |(dtype, shape, mut strides, offset, requires_grad)| {
            strides.truncate(shape.dims().len());
            let last: u64 =
                shape.dims().iter().zip(&strides).map(|(extent, stride)| extent.saturating_sub(1) * stride).sum();
            let bytes = ((offset + last + 1) * dtype.size()) as usize;
            vec(any::<u8>(), bytes..bytes + 4).prop_filter_map("inside its storage", move |storage| {
                let tensor =
                    TensorValue::strided(dtype, shape.clone(), strides.iter().copied(), offset, storage.into()).ok()?;
                Some(tensor.with_requires_grad(requires_grad))
            })
        },
    )
}

fn opaque() -> impl Strategy<Value = Opaque> + Clone {
    let globals = vec("[a-z]{1,6}\\.[A-Za-z]{1,6}", 0..3);
    ("torch-save|pickle", vec(any::<u8>(), 0..40), globals).prop_map(|(encoding, bytes, globals)| Opaque {
        encoding: encoding.into(),
        bytes: bytes.into(),
        globals: globals.into_iter().map(Into::into).collect(),
    })
}
