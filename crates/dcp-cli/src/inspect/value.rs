//! Values as JSON.

use std::collections::HashSet;

use dcp::crates::dcp_types::{Opaque, TensorValue, Typed};
use dcp::{DictKey, Value};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use super::digest;

/// A value as JSON. What JSON cannot say is an object with one key, which says what it is: `__int__` (in decimal, from 2^53 on, where
/// readers of JSON round), `__float__` (`nan`, `inf`, `-inf`), `__complex__`, `__bytes__` and `__bytearray__` (in hex), `__tuple__`,
/// `__size__`, `__set__` and `__frozenset__` (sorted), `__dict__` (a list of pairs, where keys are not all text, or not all
/// different, or such a word themselves), `__ordereddict__` (a list of pairs), `__dtype__`, `__device__`, `__tensor__`, `__opaque__`; any other
/// special type is `__typed__`.
pub(crate) struct Json<'a>(&'a Value, Digests);

/// Whether tensors inside a value get a digest. Many may look into one small storage, and would be hashed for ever.
#[derive(Clone, Copy)]
struct Digests(bool);

impl<'a> Json<'a> {
    pub(crate) fn new(value: &'a Value) -> Self {
        Self(value, Digests(value.tensor_bytes() <= Value::MAX_TENSOR_BYTES))
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(value, digests) = *self;
        match value {
            Value::None => to.serialize_unit(),
            Value::Bool(value) => to.serialize_bool(*value),
            Value::Int(value) if value.unsigned_abs() < 1 << 53 => to.serialize_i64(*value),
            Value::Int(value) => tagged(to, "__int__", &value.to_string()),
            Value::UInt(value) => tagged(to, "__int__", &value.to_string()),
            Value::Float(value) if value.is_finite() => to.serialize_f64(*value),
            Value::Float(value) => tagged(to, "__float__", &special(*value)),
            Value::Complex(real, imaginary) => {
                let part = |part: &f64| Value::Float(*part);
                tagged(to, "__complex__", &[Json(&part(real), digests), Json(&part(imaginary), digests)])
            }
            Value::Str(text) => to.serialize_str(text),
            Value::Bytes(bytes) => tagged(to, "__bytes__", &digest::hex(bytes)),
            Value::List(items) => Items(items, digests).serialize(to),
            Value::Tuple(items) => tagged(to, "__tuple__", &Items(items, digests)),
            Value::Dict(items) if is_object(items) => {
                let mut map = to.serialize_map(Some(items.len()))?;
                for (key, value) in items {
                    map.serialize_entry(&key.to_string(), &Json(value, digests))?;
                }
                map.end()
            }
            Value::Dict(items) => tagged(to, "__dict__", &Pairs(items, digests)),
            Value::Opaque(opaque) => tagged(to, "__opaque__", &described(opaque)),
            Value::Tensor(tensor) => tagged(to, "__tensor__", &Tensor::new(tensor, digests, false)),
            Value::Typed(typed) => serialize_typed(typed, digests, to),
            _ => tagged(to, "__unknown__", &()),
        }
    }
}

/// A special type. One that is not made of what it should be made of is told as any other.
fn serialize_typed<S: Serializer>(typed: &Typed, digests: Digests, to: S) -> Result<S::Ok, S::Error> {
    match (&*typed.name, &*typed.value) {
        (Typed::TORCH_SIZE, Value::Tuple(items)) => tagged(to, "__size__", &Items(items, digests)),
        (Typed::TORCH_DTYPE, Value::Str(name)) => tagged(to, "__dtype__", &**name),
        (Typed::TORCH_DEVICE, Value::Str(name)) => tagged(to, "__device__", &**name),
        (Typed::TORCH_PARAMETER, Value::Tensor(tensor)) => {
            tagged(to, "__tensor__", &Tensor::new(tensor, digests, true))
        }
        (Typed::SET, Value::List(items)) => tagged(to, "__set__", &sorted(items, digests)),
        (Typed::FROZENSET, Value::List(items)) => tagged(to, "__frozenset__", &sorted(items, digests)),
        (Typed::BYTEARRAY, Value::Bytes(bytes)) => tagged(to, "__bytearray__", &digest::hex(bytes)),
        (Typed::INT, Value::Str(digits)) => tagged(to, "__int__", &**digits),
        (Typed::ORDERED_DICT, Value::Dict(items)) => tagged(to, "__ordereddict__", &Pairs(items, digests)),
        (Typed::ORDERED_DICT, Value::List(items)) if pairs(items) => {
            tagged(to, "__ordereddict__", &TuplePairs(items, digests))
        }
        (Typed::DICT, Value::Dict(items)) => tagged(to, "__dict__", &Pairs(items, digests)),
        (Typed::DICT, Value::List(items)) if pairs(items) => tagged(to, "__dict__", &TuplePairs(items, digests)),
        (name, value) => tagged(to, "__typed__", &OfType { r#type: name, value: Json(value, digests) }),
    }
}

#[derive(Serialize)]
struct OfType<'a> {
    r#type: &'a str,
    value: Json<'a>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    dtype: &'static str,
    shape: &'a [u64],
    sha256: Option<String>,
    stride: &'a [u64],
    storage_offset: u64,
    requires_grad: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    parameter: bool,
}

impl<'a> Tensor<'a> {
    fn new(tensor: &'a TensorValue, Digests(digests): Digests, parameter: bool) -> Self {
        Self {
            dtype: tensor.dtype().name(),
            shape: tensor.shape().dims(),
            sha256: digests.then(|| digest::of(tensor.runs())),
            stride: tensor.strides(),
            storage_offset: tensor.storage_offset(),
            requires_grad: tensor.requires_grad(),
            parameter,
        }
    }
}

fn described(opaque: &Opaque) -> serde_json::Value {
    let globals: Vec<&str> = opaque.globals.iter().map(AsRef::as_ref).collect();
    let (encoding, bytes, runs) = (&*opaque.encoding, opaque.bytes.len(), !globals.is_empty());
    serde_json::json!({ "encoding": encoding, "bytes": bytes, "globals": globals, "would_run_code": runs })
}

struct Items<'a>(&'a [Value], Digests);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|item| Json(item, self.1)))
    }
}

/// The items of a set in an order that depends only on what they are.
fn sorted(items: &[Value], digests: Digests) -> Vec<serde_json::Value> {
    let json = |item| serde_json::to_value(Json(item, digests)).unwrap_or_default();
    let mut items: Vec<_> = items.iter().map(json).collect();
    items.sort_by_cached_key(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
    items
}

struct Pairs<'a>(&'a [(DictKey, Value)], Digests);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for (key, value) in self.0 {
            let key = match key {
                DictKey::Str(text) => Value::Str(text.clone()),
                DictKey::Int(number) => Value::Int(*number),
            };
            list.serialize_element(&(Json(&key, self.1), Json(value, self.1)))?;
        }
        list.end()
    }
}

/// Whether these are the entries of a dict.
pub(super) fn pairs(items: &[Value]) -> bool {
    items.iter().all(|item| matches!(item, Value::Tuple(pair) if pair.len() == 2))
}

struct TuplePairs<'a>(&'a [Value], Digests);

impl Serialize for TuplePairs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let entries = self.0.iter().map(|item| match item {
            Value::Tuple(pair) => Items(pair, self.1),
            other => Items(std::slice::from_ref(other), self.1),
        });
        to.collect_seq(entries)
    }
}

fn tagged<S: Serializer>(to: S, tag: &str, content: &(impl Serialize + ?Sized)) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(1))?;
    map.serialize_entry(tag, content)?;
    map.end()
}

/// Whether a dict can be a JSON object that is not taken for anything else.
fn is_object(items: &[(DictKey, Value)]) -> bool {
    let mut seen = HashSet::with_capacity(items.len());
    let plain = |key: &DictKey| matches!(key, DictKey::Str(text) if !text.starts_with("__"));
    items.iter().all(|(key, _)| plain(key) && seen.insert(key))
}

fn special(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "nan",
        value if value > 0.0 => "inf",
        _ => "-inf",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dcp::{DType, Shape};

    fn json(value: impl Into<Value>) -> String {
        serde_json::to_string(&Json::new(&value.into())).expect("writes")
    }

    fn dict<const N: usize>(items: [(DictKey, Value); N]) -> Value {
        Value::Dict(items.into())
    }

    #[test]
    fn json_says_what_a_value_is() {
        assert_eq!(json(Value::None), "null");
        assert_eq!(json(u64::MAX), r#"{"__int__":"18446744073709551615"}"#);
        assert_eq!(
            (json((1i64 << 53) - 1), json(1 - (1i64 << 53))),
            ("9007199254740991".into(), "-9007199254740991".into())
        );
        assert_eq!(json(-(1i64 << 53)), r#"{"__int__":"-9007199254740992"}"#);
        assert_eq!(json(-0.5), "-0.5");
        assert_eq!(json(f64::NAN), r#"{"__float__":"nan"}"#);
        assert_eq!(json(Value::Complex(1.0, f64::NEG_INFINITY)), r#"{"__complex__":[1.0,{"__float__":"-inf"}]}"#);
        assert_eq!(json(vec![0u8, 255]), r#"{"__bytes__":"00ff"}"#);
        assert_eq!(json(Value::Tuple(vec![0.9.into(), Value::List(vec![])])), r#"{"__tuple__":[0.9,[]]}"#);
        assert_eq!(json(dict([("b".into(), 1.into()), ("a".into(), true.into())])), r#"{"b":1,"a":true}"#);
        let opaque =
            Opaque { encoding: "torch-save".into(), bytes: vec![1, 2].into(), globals: vec!["os.system".into()] };
        let text = json(Value::Opaque(opaque));
        assert_eq!(
            text,
            r#"{"__opaque__":{"bytes":2,"encoding":"torch-save","globals":["os.system"],"would_run_code":true}}"#
        );
    }

    #[test]
    fn json_says_what_type_a_value_has() {
        let typed = |name: &str, value: Value| json(Typed::new(name, value));
        let list = || Value::List(vec!["b".into(), 10.into(), 9.into(), "a".into()]);
        let pair = || Value::List(vec![Value::Tuple(vec![().into(), 1.into()])]);
        assert_eq!(typed(Typed::TORCH_SIZE, Value::Tuple(vec![2.into(), 3.into()])), r#"{"__size__":[2,3]}"#);
        assert_eq!(typed(Typed::TORCH_DTYPE, "bfloat16".into()), r#"{"__dtype__":"bfloat16"}"#);
        assert_eq!(typed(Typed::TORCH_DEVICE, "cpu".into()), r#"{"__device__":"cpu"}"#);
        assert_eq!(typed(Typed::SET, list()), r#"{"__set__":[10,9,"a","b"]}"#);
        assert_eq!(typed(Typed::FROZENSET, Value::List(vec![])), r#"{"__frozenset__":[]}"#);
        assert_eq!(typed(Typed::BYTEARRAY, vec![0u8, 255].into()), r#"{"__bytearray__":"00ff"}"#);
        assert_eq!(typed(Typed::INT, "-36893488147419103232".into()), r#"{"__int__":"-36893488147419103232"}"#);
        assert_eq!(typed(Typed::ORDERED_DICT, dict([("a".into(), 1.into())])), r#"{"__ordereddict__":[["a",1]]}"#);
        assert_eq!(typed(Typed::ORDERED_DICT, pair()), r#"{"__ordereddict__":[[null,1]]}"#);
        assert_eq!(typed(Typed::DICT, pair()), r#"{"__dict__":[[null,1]]}"#);
        assert_eq!(typed("a.B", Value::None), r#"{"__typed__":{"type":"a.B","value":null}}"#);
        assert_eq!(typed(Typed::SET, 1.into()), r#"{"__typed__":{"type":"set","value":1}}"#);
    }

    #[test]
    fn json_says_what_a_tensor_shows() {
        let shape = |extent| Shape::new([extent]).expect("shape");
        let storage = vec![7u8, 0, 7, 1].into();
        let tensor = TensorValue::strided(DType::UInt8, shape(2), [2], 1, storage).expect("inside");
        let sha256 = "b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2";
        let fields = format!(
            r#""dtype":"uint8","shape":[2],"sha256":"{sha256}","stride":[2],"storage_offset":1,"requires_grad":false"#
        );
        assert_eq!(json(tensor.clone()), format!(r#"{{"__tensor__":{{{fields}}}}}"#));
        let parameter = json(Typed::new(Typed::TORCH_PARAMETER, tensor));
        assert_eq!(parameter, format!(r#"{{"__tensor__":{{{fields},"parameter":true}}}}"#));
        let expanded = TensorValue::MAX_EXPANDED;
        let expanded =
            TensorValue::strided(DType::UInt8, shape(expanded), [0], 0, vec![0].into()).expect("at the limit");
        assert!(json(Value::List(vec![Value::Tensor(expanded); 1000])).contains(r#""sha256":null"#));
    }

    #[test]
    fn dicts_that_would_be_mistaken_are_lists_of_pairs() {
        assert_eq!(
            json(dict([(3.into(), "x".into()), ("a".into(), ().into())])),
            r#"{"__dict__":[[3,"x"],["a",null]]}"#
        );
        assert_eq!(json(dict([("__tuple__".into(), 1.into())])), r#"{"__dict__":[["__tuple__",1]]}"#);
        assert_eq!(json(dict([("a".into(), 1.into()), ("a".into(), 2.into())])), r#"{"__dict__":[["a",1],["a",2]]}"#);
    }
}
