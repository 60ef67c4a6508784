//! Values of another language's more special types.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Value;

/// A value of a more special type of another language, as the plain value that it is made of.
///
/// Who does not care for the type looks at [`Value::plain`]. Names that are used are constants here; any other name is fine, too, and
/// is kept.
///
/// ```
/// use dcp_types::{Typed, Value};
/// let size = Value::from(Typed::new(Typed::TORCH_SIZE, Value::Tuple(vec![2.into(), 3.into()])));
/// assert_eq!(size.plain(), &Value::Tuple(vec![2.into(), 3.into()]));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// The type, by the name that it has there.
    pub name: Arc<str>,
    /// What a value of that type is made of.
    pub value: Box<Value>,
}

impl Typed {
    /// The extents of a tensor: a [`Value::Tuple`] of integers.
    pub const TORCH_SIZE: &'static str = "torch.Size";
    /// An element type: a [`Value::Str`] with its name, as `bfloat16`.
    pub const TORCH_DTYPE: &'static str = "torch.dtype";
    /// A device: a [`Value::Str`], as `cpu` or `cuda:0`.
    pub const TORCH_DEVICE: &'static str = "torch.device";
    /// How tensors lie in memory: a [`Value::Str`], as `contiguous_format`.
    pub const TORCH_MEMORY_FORMAT: &'static str = "torch.memory_format";
    /// How tensors are represented: a [`Value::Str`], as `strided`.
    pub const TORCH_LAYOUT: &'static str = "torch.layout";
    /// A trained tensor: a [`Value::Tensor`].
    pub const TORCH_PARAMETER: &'static str = "torch.nn.Parameter";
    /// A set: a [`Value::List`].
    pub const SET: &'static str = "set";
    /// A set that does not change: a [`Value::List`].
    pub const FROZENSET: &'static str = "frozenset";
    /// Bytes that may change: [`Value::Bytes`].
    pub const BYTEARRAY: &'static str = "bytearray";
    /// An integer that fits neither [`Value::Int`] nor [`Value::UInt`]: a [`Value::Str`] of decimal digits, with a sign if negative.
    pub const INT: &'static str = "int";
    /// An ordered dict: a [`Value::Dict`], or a list of pairs as in [`DICT`](Self::DICT).
    pub const ORDERED_DICT: &'static str = "collections.OrderedDict";
    /// A dict whose keys are not only text and integers: a [`Value::List`] with a [`Value::Tuple`] of key and value for each entry.
    pub const DICT: &'static str = "dict";

    /// A value of that type.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Value>) -> Self {
        Self { name: name.into(), value: Box::new(value.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Opaque, TypesError};

    fn nested(levels: usize) -> Value {
        (1..levels).fold(Value::Int(7), |inner, _| Typed::new("a", inner).into())
    }

    #[test]
    fn the_plain_value_is_below_all_types() {
        assert_eq!(nested(5).plain(), &Value::Int(7));
        let opaque = Opaque { encoding: "pickle".into(), bytes: "x".into(), globals: Vec::new() };
        assert!(!nested(5).has_opaque());
        assert!(Value::from(Typed::new(Typed::SET, Value::List(vec![Value::Opaque(opaque)]))).has_opaque());
    }

    #[test]
    fn the_wire_form_is_a_name_and_a_value() {
        let encoded = Value::from(Typed::new("int", "1")).encode().expect("encodes");
        assert_eq!(&encoded[..], b"\x81\xa5Typed\x92\xa3int\x81\xa3Str\xa11");
    }

    #[test]
    fn each_type_is_a_level() {
        let deepest = nested(Value::MAX_DEPTH);
        assert_eq!(Value::decode(&deepest.encode().expect("encodes")), Ok(deepest));
        assert_eq!(nested(Value::MAX_DEPTH + 1).encode(), Err(TypesError::TooDeep(Value::MAX_DEPTH)));
        let level = b"\x81\xa5Typed\x92\xa1a";
        let deep = level.repeat(100_000);
        assert!(matches!(Value::decode(&deep), Err(TypesError::Decode { .. })));
        let too_deep = [level.repeat(Value::MAX_DEPTH), b"\xa4None".to_vec()].concat();
        assert!(matches!(Value::decode(&too_deep), Err(TypesError::Decode { .. })));
        assert!(Value::decode(&too_deep[level.len()..]).is_ok());
    }
}
