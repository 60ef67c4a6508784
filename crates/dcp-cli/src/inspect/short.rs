//! Values as a few characters.

use dcp::crates::dcp_types::{TensorValue, Typed};
use dcp::{DictKey, Value};

use super::value::pairs;
use crate::units::{self, printable};

/// A value in about so many characters.
pub(crate) fn short(value: &Value, width: usize) -> String {
    match value {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Complex(real, imaginary) => format!("{real:?}{imaginary:+?}j"),
        Value::Str(text) => format!("\"{}\"", beginning(text, width)),
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
            let encoding = printable(&opaque.encoding);
            if globals.is_empty() {
                return format!("<{size} of {encoding}>");
            }
            format!("<{size} of {encoding}, would run code when PyTorch unpickles it: {named}>")
        }
        Value::Tensor(tensor) => described(tensor, "tensor"),
        Value::Typed(typed) => short_typed(typed, width),
        _ => "<a newer kind of value>".into(),
    }
}

/// As Python shows it.
fn short_typed(typed: &Typed, width: usize) -> String {
    let braces = |items: &[Value]| format!("{{{}}}", listed(items, width, short));
    let pair = |entry: &Value, width: usize| match entry {
        Value::Tuple(pair) => pair.iter().map(|item| short(item, width)).collect::<Vec<_>>().join(": "),
        other => short(other, width),
    };
    match (&*typed.name, &*typed.value) {
        (Typed::TORCH_SIZE, Value::Tuple(items)) => format!("torch.Size([{}])", listed(items, width, short)),
        (Typed::TORCH_DTYPE | Typed::TORCH_MEMORY_FORMAT | Typed::TORCH_LAYOUT, Value::Str(name)) => {
            format!("torch.{}", beginning(name, width))
        }
        (Typed::TORCH_DEVICE, Value::Str(name)) => match name.split_once(':') {
            Some((kind, index)) => {
                format!("device(type='{}', index={})", beginning(kind, width), beginning(index, width))
            }
            None => format!("device(type='{}')", beginning(name, width)),
        },
        (Typed::TORCH_PARAMETER, Value::Tensor(tensor)) => described(tensor, "parameter"),
        (Typed::SET, Value::List(items)) if items.is_empty() => "set()".into(),
        (Typed::SET, Value::List(items)) => braces(items),
        (Typed::FROZENSET, Value::List(items)) if items.is_empty() => "frozenset()".into(),
        (Typed::FROZENSET, Value::List(items)) => format!("frozenset({})", braces(items)),
        (Typed::INT, Value::Str(digits)) => beginning(digits, width),
        (Typed::DICT, value @ Value::Dict(_)) => short(value, width),
        (Typed::DICT, Value::List(items)) if pairs(items) => format!("{{{}}}", listed(items, width, pair)),
        (Typed::ORDERED_DICT, Value::List(items)) if pairs(items) => {
            format!("OrderedDict({{{}}})", listed(items, width, pair))
        }
        (Typed::ORDERED_DICT, value) => format!("OrderedDict({})", short(value, width)),
        (name, value) => format!("{}({})", beginning(name, width), short(value, width)),
    }
}

fn described(tensor: &TensorValue, what: &str) -> String {
    let extents: Vec<String> = tensor.shape().dims().iter().map(ToString::to_string).collect();
    format!("{what} of {} [{}]", tensor.dtype(), extents.join(", "))
}

fn beginning(text: &str, width: usize) -> String {
    let head: String = text.chars().take(width).collect();
    let more = if head.len() < text.len() { "..." } else { "" };
    format!("{}{more}", printable(&head))
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
    use dcp::{DType, Shape};

    fn dict<const N: usize>(items: [(DictKey, Value); N]) -> Value {
        Value::Dict(items.into())
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

    #[test]
    fn people_see_types_as_python_shows_them() {
        let typed = |name: &str, value: Value| short(&Typed::new(name, value).into(), 40);
        let list = || Value::List(vec![1.into(), 2.into()]);
        let pair = || Value::List(vec![Value::Tuple(vec![true.into(), 1.into()])]);
        assert_eq!(typed(Typed::TORCH_SIZE, Value::Tuple(vec![1.into(), 2.into()])), "torch.Size([1, 2])");
        assert_eq!(typed(Typed::TORCH_DTYPE, "bfloat16".into()), "torch.bfloat16");
        assert_eq!(typed(Typed::TORCH_LAYOUT, "strided".into()), "torch.strided");
        assert_eq!(typed(Typed::TORCH_DEVICE, "cpu".into()), "device(type='cpu')");
        assert_eq!(typed(Typed::TORCH_DEVICE, "cuda:1".into()), "device(type='cuda', index=1)");
        assert_eq!(
            (typed(Typed::SET, list()), typed(Typed::FROZENSET, list())),
            ("{1, 2}".into(), "frozenset({1, 2})".into())
        );
        assert_eq!(typed(Typed::SET, Value::List(vec![])), "set()");
        assert_eq!(typed(Typed::BYTEARRAY, vec![0u8].into()), "bytearray(<1 B of data>)");
        assert_eq!(typed(Typed::INT, "18446744073709551616".into()), "18446744073709551616");
        assert_eq!(typed(Typed::DICT, pair()), "{True: 1}");
        assert_eq!(typed(Typed::ORDERED_DICT, pair()), "OrderedDict({True: 1})");
        assert_eq!(typed(Typed::ORDERED_DICT, Value::Dict(vec![("a".into(), 1.into())])), "OrderedDict({\"a\": 1})");
        assert_eq!(typed("a.\u{1b}B", 1.into()), "a.\\u{1b}B(1)");
        let tensor = TensorValue::new(DType::Int64, Shape::new([2, 3]).expect("shape"), vec![0; 48]).expect("length");
        assert_eq!(short(&tensor.clone().into(), 40), "tensor of int64 [2, 3]");
        assert_eq!(typed(Typed::TORCH_PARAMETER, tensor.into()), "parameter of int64 [2, 3]");
    }

    #[test]
    fn people_see_what_would_run_code() {
        let shown = |globals: &[&str]| {
            let globals = globals.iter().map(|&name| name.into()).collect();
            short(&Value::Opaque(Opaque { encoding: "pickle".into(), bytes: "..".into(), globals }), 40)
        };
        assert_eq!(shown(&[]), "<2 B of pickle>");
        assert_eq!(
            shown(&["os.system", "a.B"]),
            "<2 B of pickle, would run code when PyTorch unpickles it: os.system, a.B>"
        );
    }
}
