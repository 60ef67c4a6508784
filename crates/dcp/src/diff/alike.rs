//! Whether two values are alike.

use bytes::Bytes;
use dcp_types::{Segment, StatePath, TensorValue, Typed, Value};

use super::elements::ElementComparer;
use super::rule::{Gap, Rule};

/// The first place in which two values differ; `None` if there is none.
///
/// Numbers of one kind are compared as elements of tensors are, and so are tensors in values. Sets have no order; dicts have one. What is opaque is
/// compared by its bytes.
pub(super) fn first_difference(left: &Value, right: &Value, rule: Rule) -> Option<StatePath> {
    let mut steps = descend(left, right, rule)?;
    steps.reverse();
    Some(StatePath::new(steps))
}

/// The steps that lead to it, the last one first.
fn descend(left: &Value, right: &Value, rule: Rule) -> Option<Vec<Segment>> {
    let below = |step: Segment, left: &Value, right: &Value| {
        let mut steps = descend(left, right, rule)?;
        steps.push(step);
        Some(steps)
    };
    let all = |step: fn(u32) -> Segment, left: &[Value], right: &[Value]| {
        if left.len() != right.len() {
            return here();
        }
        (0..).zip(left.iter().zip(right)).find_map(|(number, (left, right))| below(step(number), left, right))
    };
    match (left, right) {
        (Value::List(left), Value::List(right)) => all(Segment::Item, left, right),
        (Value::Tuple(left), Value::Tuple(right)) => all(Segment::TupleItem, left, right),
        (Value::Dict(left), Value::Dict(right)) => {
            if left.len() != right.len() || left.iter().zip(right).any(|((left, _), (right, _))| left != right) {
                return here();
            }
            let items = left.iter().zip(right);
            items.into_iter().find_map(|((key, left), (_, right))| below(Segment::Key(key.clone()), left, right))
        }
        (Value::Typed(left), Value::Typed(right)) if left.name == right.name => {
            match (&*left.name, &*left.value, &*right.value) {
                (Typed::SET | Typed::FROZENSET, Value::List(left), Value::List(right)) => {
                    unless(are_sets_alike(left, right))
                }
                (_, left, right) => descend(left, right, rule),
            }
        }
        (Value::Tensor(left), Value::Tensor(right)) => unless(are_tensors_alike(left, right, rule)),
        _ => unless(are_plain_values_alike(left, right, rule)),
    }
}

/// The value itself is what differs.
fn here() -> Option<Vec<Segment>> {
    Some(Vec::new())
}

fn unless(alike: bool) -> Option<Vec<Segment>> {
    if alike { None } else { here() }
}

fn are_sets_alike(left: &[Value], right: &[Value]) -> bool {
    match (sorted(left), sorted(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

/// What they are encoded, in an order that depends only on that.
fn sorted(items: &[Value]) -> Option<Vec<Bytes>> {
    let mut encoded: Vec<_> = items.iter().map(|item| item.encode().ok()).collect::<Option<_>>()?;
    encoded.sort_unstable();
    Some(encoded)
}

fn are_tensors_alike(left: &TensorValue, right: &TensorValue, rule: Rule) -> bool {
    let is_of_one_kind =
        left.dtype() == right.dtype() && left.shape() == right.shape() && left.requires_grad() == right.requires_grad();
    let elements = |tensor: &TensorValue| tensor.to_bytes();
    is_of_one_kind
        && ElementComparer::new(left.dtype(), rule).compare(0, &elements(left), &elements(right)).differing == 0
}

fn are_plain_values_alike(left: &Value, right: &Value, rule: Rule) -> bool {
    if let (Some(left), Some(right)) = (integer(left), integer(right)) {
        return left == right || rule.integers(left, right) == Gap::Same;
    }
    // Without tolerances it is bits that count, and NaNs may be the same whatever theirs.
    let is_alike = |left: &[f64], right: &[f64], gap: Gap| {
        let same_bits = left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits());
        gap == Gap::Same || (same_bits && gap != Gap::Nan)
    };
    match (left, right) {
        (&Value::Float(left), &Value::Float(right)) => is_alike(&[left], &[right], rule.reals(left, right)),
        (&Value::Complex(left, left_i), &Value::Complex(right, right_i)) => {
            let (left, right) = ([left, left_i], [right, right_i]);
            is_alike(&left, &right, rule.complex(left, right))
        }
        _ => left == right,
    }
}

/// Integers are one kind, whatever their size.
fn integer(value: &Value) -> Option<i128> {
    match *value {
        Value::Int(value) => Some(value.into()),
        Value::UInt(value) => Some(value.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use dcp_types::{DType, DictKey, Opaque, Shape};

    use super::*;

    const EXACT: Rule = Rule { rtol: 0.0, atol: 0.0, equal_nan: true };

    fn differ(left: impl Into<Value>, right: impl Into<Value>) -> Option<String> {
        Some(first_difference(&left.into(), &right.into(), EXACT)?.to_string())
    }

    fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::List(items.into_iter().collect())
    }

    fn dict<const N: usize>(items: [(DictKey, Value); N]) -> Value {
        Value::Dict(items.into())
    }

    fn opaque(bytes: &'static [u8]) -> Value {
        Value::Opaque(Opaque { encoding: "torch-save".into(), bytes: bytes.into(), globals: Vec::new() })
    }

    #[test]
    fn what_is_the_same_does_not_differ() {
        let tensor = |bytes: Vec<u8>| {
            Value::from(TensorValue::new(DType::UInt8, Shape::new([2]).expect("shape"), bytes).expect("length"))
        };
        for value in [
            Value::None,
            true.into(),
            u64::MAX.into(),
            f64::NAN.into(),
            (-0.0).into(),
            Value::Complex(f64::NAN, 1.0),
            "text".into(),
            vec![0u8, 1].into(),
            list([1.into(), list([])]),
            dict([("a".into(), 1.into()), (3.into(), 2.0.into())]),
            opaque(b"x"),
            tensor(vec![1, 2]),
            Typed::new(Typed::TORCH_SIZE, Value::Tuple(vec![2.into()])).into(),
        ] {
            assert_eq!(differ(value.clone(), value.clone()), None, "{value:?}");
            for other in [Value::from("other"), 7.into(), list([7.into()]), opaque(b"y"), tensor(vec![1, 3])] {
                assert_eq!(differ(value.clone(), other.clone()), Some(String::new()), "{value:?} {other:?}");
            }
        }
    }

    #[test]
    fn the_first_place_is_named() {
        let deep = |number: i64| dict([("lr".into(), list([0.into(), dict([(3.into(), number.into())])]))]);
        assert_eq!(differ(deep(1), deep(2)).as_deref(), Some("[\"lr\"][1][3]"));
        let size = |number: i32| Typed::new(Typed::TORCH_SIZE, Value::Tuple(vec![1.into(), number.into()]));
        assert_eq!(differ(size(2), size(3)).as_deref(), Some("(1)"));
        let renamed = [dict([("a".into(), 1.into())]), dict([("b".into(), 1.into())])];
        assert_eq!(differ(list([renamed[0].clone()]), list([renamed[1].clone()])).as_deref(), Some("[0]"));
        assert_eq!(differ(list([]), list([1.into()])).as_deref(), Some(""));
    }

    #[test]
    fn numbers_follow_the_rule() {
        assert_eq!(differ(0.0, -0.0).as_deref(), Some(""));
        assert_eq!(differ(1, 1.0).as_deref(), Some(""));
        assert_eq!(differ(1, true).as_deref(), Some(""));
        assert_eq!(differ(f64::from_bits(0x7ff8_0000_0000_0001), f64::NAN), None);
        let nan_differs = Rule { equal_nan: false, ..EXACT };
        assert!(first_difference(&f64::NAN.into(), &f64::NAN.into(), nan_differs).is_some());
        let tolerant = Rule { atol: 0.5, ..EXACT };
        let near =
            [(1.0.into(), 1.5.into()), (1.into(), 1.into()), (Value::Complex(0.0, 0.0), Value::Complex(-0.0, 0.5))];
        for (left, right) in &near {
            assert_eq!(first_difference(left, right, tolerant), None, "{left:?} {right:?}");
        }
        assert!(first_difference(&1.into(), &2.into(), tolerant).is_some());
        assert!(first_difference(&1.into(), &2.into(), Rule { atol: 1.0, ..EXACT }).is_none());
    }

    #[test]
    fn sets_have_no_order_and_dicts_have_one() {
        let set = |items: [i32; 3]| Typed::new(Typed::SET, list(items.map(Value::from)));
        assert_eq!(differ(set([1, 2, 3]), set([3, 1, 2])), None);
        assert_eq!(differ(set([1, 2, 3]), set([1, 1, 2])).as_deref(), Some(""));
        let frozen = Typed::new(Typed::FROZENSET, list([1, 2, 3].map(Value::from)));
        assert_eq!(differ(set([1, 2, 3]), frozen).as_deref(), Some(""));
        let ordered = [("a".into(), 1.into()), ("b".into(), 2.into())];
        let turned = [("b".into(), 2.into()), ("a".into(), 1.into())];
        assert_eq!(differ(dict(ordered), dict(turned)).as_deref(), Some(""));
    }
}
