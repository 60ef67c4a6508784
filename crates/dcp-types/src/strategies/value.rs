//! Plain values.

use proptest::collection::vec;
use proptest::num::f64;
use proptest::prelude::{Just, any, prop_oneof};
use proptest::strategy::Strategy;

use crate::{Opaque, Value};

/// Values nested a few levels deep: any bits in floats (NaNs with payloads among them), integers at the ends of their range,
/// foreign objects.
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
        prop_oneof![items().prop_map(Value::List), items().prop_map(Value::Tuple), entries.prop_map(Value::Dict),]
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
    ]
}

fn opaque() -> impl Strategy<Value = Opaque> + Clone {
    let globals = vec("[a-z]{1,6}\\.[A-Za-z]{1,6}", 0..3);
    ("torch-save|pickle", vec(any::<u8>(), 0..40), globals).prop_map(|(encoding, bytes, globals)| Opaque {
        encoding: encoding.into(),
        bytes: bytes.into(),
        globals: globals.into_iter().map(Into::into).collect(),
    })
}
