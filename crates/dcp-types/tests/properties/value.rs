//! Values come back bit for bit.

use dcp_types::{DictKey, Typed, Value, strategies};
use proptest::prelude::*;

/// Equal, with floats compared by their bits.
fn same(a: &Value, b: &Value) -> bool {
    let all = |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Complex(a, b), Value::Complex(c, d)) => [a, b].map(|x| x.to_bits()) == [c, d].map(|x| x.to_bits()),
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => all(a, b),
        (Value::Dict(a), Value::Dict(b)) => {
            let entry = |((key, a), (other, b)): (&(DictKey, Value), &(DictKey, Value))| key == other && same(a, b);
            a.len() == b.len() && a.iter().zip(b).all(entry)
        }
        (Value::Typed(a), Value::Typed(b)) => a.name == b.name && same(&a.value, &b.value),
        _ => a == b,
    }
}

proptest! {
    #[test]
    fn values_come_back(value in strategies::values()) {
        let encoded = value.encode().expect("not deep");
        let decoded = Value::decode(&encoded).expect("decodes");
        prop_assert!(same(&decoded, &value), "{:?}", decoded);
        prop_assert_eq!(decoded.encode(), Ok(encoded));
        prop_assert_eq!(decoded.has_opaque(), value.has_opaque());
    }
}

#[test]
fn every_kind_of_container_may_be_as_deep_as_is_allowed() {
    let kinds: [fn(Value) -> Value; 4] = [
        |inner| Value::List(vec![inner]),
        |inner| Value::Tuple(vec![inner]),
        |inner| Value::Dict(vec![("a".into(), inner)]),
        |inner| Typed::new(Typed::SET, inner).into(),
    ];
    for kind in kinds {
        let deepest = (1..Value::MAX_DEPTH).fold(Value::None, |inner, _| kind(inner));
        let encoded = deepest.encode().expect("not too deep");
        assert_eq!(Value::decode(&encoded), Ok(deepest.clone()));
        assert!(kind(deepest).encode().is_err());
    }
}
