//! Values as JSON, and as a few characters.

use std::collections::HashSet;

use dcp::{DictKey, Value};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::units::{self, printable};

/// A value as JSON. What JSON cannot say is an object with one key, which says what it is: `__float__` (`nan`, `inf`, `-inf`),
/// `__complex__`, `__bytes__` (in hex), `__tuple__`, `__dict__` (a list of pairs, where keys are not all text, or not all
/// different, or such a word themselves), `__opaque__`.
pub(super) struct Json<'a>(pub(super) &'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::None => to.serialize_unit(),
            Value::Bool(value) => to.serialize_bool(*value),
            Value::Int(value) => to.serialize_i64(*value),
            Value::UInt(value) => to.serialize_u64(*value),
            Value::Float(value) if value.is_finite() => to.serialize_f64(*value),
            Value::Float(value) => tagged(to, "__float__", &special(*value)),
            Value::Complex(real, imaginary) => {
                tagged(to, "__complex__", &[Json(&Value::Float(*real)), Json(&Value::Float(*imaginary))])
            }
            Value::Str(text) => to.serialize_str(text),
            Value::Bytes(bytes) => tagged(to, "__bytes__", &hex(bytes)),
            Value::List(items) => Items(items).serialize(to),
            Value::Tuple(items) => tagged(to, "__tuple__", &Items(items)),
            Value::Dict(items) if is_object(items) => {
                let mut map = to.serialize_map(Some(items.len()))?;
                for (key, value) in items {
                    map.serialize_entry(&key.to_string(), &Json(value))?;
                }
                map.end()
            }
            Value::Dict(items) => tagged(to, "__dict__", &Pairs(items)),
            Value::Opaque(opaque) => {
                let globals: Vec<&str> = opaque.globals.iter().map(AsRef::as_ref).collect();
                let (encoding, bytes) = (&*opaque.encoding, opaque.bytes.len());
                tagged(
                    to,
                    "__opaque__",
                    &serde_json::json!({ "encoding": encoding, "bytes": bytes, "globals": globals }),
                )
            }
            _ => tagged(to, "__unknown__", &()),
        }
    }
}

struct Items<'a>(&'a [Value]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(Json))
    }
}

struct Pairs<'a>(&'a [(DictKey, Value)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for (key, value) in self.0 {
            match key {
                DictKey::Str(text) => list.serialize_element(&(&**text, Json(value)))?,
                DictKey::Int(number) => list.serialize_element(&(number, Json(value)))?,
            }
        }
        list.end()
    }
}

fn tagged<S: Serializer>(to: S, tag: &str, content: &impl Serialize) -> Result<S::Ok, S::Error> {
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value in about so many characters.
pub(super) fn short(value: &Value, width: usize) -> String {
    match value {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Complex(real, imaginary) => format!("{real:?}{imaginary:+?}j"),
        Value::Str(text) => {
            let head: String = text.chars().take(width).collect();
            let more = if head.len() < text.len() { "..." } else { "" };
            format!("\"{}{more}\"", printable(&head))
        }
        Value::Bytes(bytes) => format!("<{} of data>", units::bytes(bytes.len() as u64)),
        Value::List(items) => format!("[{}]", listed(items, width, short)),
        Value::Tuple(items) if items.len() == 1 => format!("({},)", short(&items[0], width)),
        Value::Tuple(items) => format!("({})", listed(items, width, short)),
        Value::Dict(items) => {
            let pair = |(key, value): &(DictKey, Value), width: usize| {
                let key = short(&Value::from(key.to_string()), width);
                format!("{key}: {}", short(value, width.saturating_sub(key.len())))
            };
            format!("{{{}}}", listed(items, width, pair))
        }
        Value::Opaque(opaque) => {
            let size = units::bytes(opaque.bytes.len() as u64);
            let globals: Vec<String> = opaque.globals.iter().map(|name| printable(name).into_owned()).collect();
            let named = listed(&globals, width, |name, _| name.clone());
            format!("<{size} of {}, would look up: {named}>", printable(&opaque.encoding))
        }
        _ => "<a newer kind of value>".into(),
    }
}

fn listed<T>(items: &[T], width: usize, show: impl Fn(&T, usize) -> String) -> String {
    let mut text = String::new();
    for (number, item) in items.iter().enumerate() {
        let left = width.saturating_sub(text.len());
        if number > 0 {
            text.push_str(", ");
        }
        if left == 0 {
            text += &format!("... {} more", items.len() - number);
            break;
        }
        text += &show(item, left);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use dcp::crates::dcp_types::Opaque;

    fn json(value: impl Into<Value>) -> String {
        serde_json::to_string(&Json(&value.into())).expect("writes")
    }

    fn dict<const N: usize>(items: [(DictKey, Value); N]) -> Value {
        Value::Dict(items.into())
    }

    #[test]
    fn json_says_what_a_value_is() {
        assert_eq!(json(Value::None), "null");
        assert_eq!(json(u64::MAX), u64::MAX.to_string());
        assert_eq!(json(-0.5), "-0.5");
        assert_eq!(json(f64::NAN), r#"{"__float__":"nan"}"#);
        assert_eq!(json(Value::Complex(1.0, f64::NEG_INFINITY)), r#"{"__complex__":[1.0,{"__float__":"-inf"}]}"#);
        assert_eq!(json(vec![0u8, 255]), r#"{"__bytes__":"00ff"}"#);
        assert_eq!(json(Value::Tuple(vec![0.9.into(), Value::List(vec![])])), r#"{"__tuple__":[0.9,[]]}"#);
        assert_eq!(json(dict([("b".into(), 1.into()), ("a".into(), true.into())])), r#"{"b":1,"a":true}"#);
        let opaque =
            Opaque { encoding: "torch-save".into(), bytes: vec![1, 2].into(), globals: vec!["os.system".into()] };
        let text = json(Value::Opaque(opaque));
        assert_eq!(text, r#"{"__opaque__":{"bytes":2,"encoding":"torch-save","globals":["os.system"]}}"#);
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

    #[test]
    fn people_see_the_beginning() {
        let ints = |count: i64| Value::List((0..count).map(Value::Int).collect());
        assert_eq!(short(&ints(3), 20), "[0, 1, 2]");
        assert_eq!(short(&ints(100), 10), "[0, 1, 2, 3, ... 96 more]");
        assert_eq!(short(&Value::Tuple(vec![0.9.into(), 0.95.into()]), 40), "(0.9, 0.95)");
        assert_eq!(short(&"x".repeat(100).into(), 5), "\"xxxxx...\"");
        assert_eq!(short(&"a\u{1b}b".into(), 5), "\"a\\u{1b}b\"");
        assert_eq!(short(&vec![0u8; 2048].into(), 5), "<2.0 KiB of data>");
        assert_eq!(short(&dict([("lr".into(), 1e-3.into())]), 40), "{\"lr\": 0.001}");
        let deep = (0..60).fold(Value::None, |inner, _| Value::List(vec![inner]));
        assert_eq!(short(&deep, 40), format!("{}None{}", "[".repeat(60), "]".repeat(60)));
        assert!(short(&Value::List(vec![ints(1000), ints(1000)]), 40).len() < 100);
    }
}
