//! Plain values beside tensors.

mod runs;
mod tensor;
mod typed;

use std::sync::Arc;

use bytes::Bytes;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub use self::runs::TensorRuns;
pub use self::tensor::TensorValue;
pub use self::typed::Typed;
use crate::{DictKey, TypesError};

/// A value beside the tensors of a checkpoint: a step count, a learning rate, a tokenizer's bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A float; every bit is kept, NaNs included.
    Float(f64),
    /// A complex number: real, imaginary.
    Complex(f64, f64),
    /// Text.
    Str(Arc<str>),
    /// Bytes.
    Bytes(Bytes),
    /// A list without tensors.
    #[serde(deserialize_with = "as_they_arrive")]
    List(Vec<Value>),
    /// A tuple without tensors.
    #[serde(deserialize_with = "as_they_arrive")]
    Tuple(Vec<Value>),
    /// A dict without tensors, in its order.
    #[serde(deserialize_with = "as_they_arrive")]
    Dict(Vec<(DictKey, Value)>),
    /// An object of another language that cannot be expressed here, carried verbatim.
    Opaque(Opaque),
    /// A value of a more special type of another language, as the plain value that it is made of.
    Typed(Typed),
    /// A small tensor inside a value.
    Tensor(TensorValue),
}

/// A foreign object, as the bytes that its own language wrote. Nothing here ever decodes or runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opaque {
    /// How the bytes are encoded, as `torch-save`.
    pub encoding: Arc<str>,
    /// The bytes.
    pub bytes: Bytes,
    /// What decoding them elsewhere would look up or run, as `os.system`.
    pub globals: Vec<Arc<str>>,
}

impl Value {
    /// The deepest nesting that is encoded or decoded.
    pub const MAX_DEPTH: usize = 64;
    /// The most bytes of tensors inside one value that are encoded. Many tensors may look into one small storage, or each into the same
    /// large one; encoded each has its bytes for itself.
    pub const MAX_TENSOR_BYTES: u64 = 1 << 30;

    /// The value as MessagePack.
    ///
    /// # Errors
    /// [`TypesError::TooDeep`] beyond [`MAX_DEPTH`](Self::MAX_DEPTH); [`TypesError::TensorTooLarge`] beyond
    /// [`MAX_TENSOR_BYTES`](Self::MAX_TENSOR_BYTES).
    pub fn encode(&self) -> Result<Bytes, TypesError> {
        if self.depth_exceeds(Self::MAX_DEPTH) {
            return Err(TypesError::TooDeep(Self::MAX_DEPTH));
        }
        let (bytes, limit) = (self.tensor_bytes(), Self::MAX_TENSOR_BYTES);
        if bytes > limit {
            return Err(TypesError::TensorTooLarge { bytes, limit });
        }
        match rmp_serde::to_vec(self) {
            Ok(bytes) => Ok(bytes.into()),
            Err(fault) => Err(TypesError::Decode { what: "value", reason: fault.to_string() }),
        }
    }

    /// Decodes what [`encode`](Self::encode) made, reading all of it.
    ///
    /// # Errors
    /// [`TypesError::Decode`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, TypesError> {
        let fault = |reason: String| TypesError::Decode { what: "value", reason };
        let mut rest = bytes;
        let mut decoder = rmp_serde::Deserializer::new(&mut rest);
        // A level of a value is up to three levels of MessagePack.
        decoder.set_max_depth(3 * Self::MAX_DEPTH + 3);
        let value = Self::deserialize(&mut decoder).map_err(|error| fault(error.to_string()))?;
        if value.depth_exceeds(Self::MAX_DEPTH) {
            return Err(fault(TypesError::TooDeep(Self::MAX_DEPTH).to_string()));
        }
        if rest.is_empty() { Ok(value) } else { Err(fault("bytes follow it".into())) }
    }

    /// Whether this is, or holds, an [`Opaque`].
    #[must_use]
    pub fn has_opaque(&self) -> bool {
        match self {
            Self::Opaque(_) => true,
            Self::List(items) | Self::Tuple(items) => items.iter().any(Self::has_opaque),
            Self::Dict(items) => items.iter().any(|(_, value)| value.has_opaque()),
            Self::Typed(typed) => typed.value.has_opaque(),
            _ => false,
        }
    }

    /// The value without its special types: what is in a [`Typed`], however many lie around it; otherwise itself.
    #[must_use]
    pub fn plain(&self) -> &Self {
        let mut value = self;
        while let Self::Typed(typed) = value {
            value = &typed.value;
        }
        value
    }

    /// The bytes that all tensors in here show together; `u64::MAX` also stands for whatever is more.
    #[must_use]
    pub fn tensor_bytes(&self) -> u64 {
        let sum = |sum: u64, value: &Self| sum.saturating_add(value.tensor_bytes());
        match self {
            Self::Tensor(tensor) => tensor.nbytes(),
            Self::List(items) | Self::Tuple(items) => items.iter().fold(0, sum),
            Self::Dict(items) => items.iter().fold(0, |so_far, (_, value)| sum(so_far, value)),
            Self::Typed(typed) => typed.value.tensor_bytes(),
            _ => 0,
        }
    }

    fn depth_exceeds(&self, levels: usize) -> bool {
        let Some(below) = levels.checked_sub(1) else { return true };
        match self {
            Self::List(items) | Self::Tuple(items) => items.iter().any(|item| item.depth_exceeds(below)),
            Self::Dict(items) => items.iter().any(|(_, item)| item.depth_exceeds(below)),
            Self::Typed(typed) => typed.value.depth_exceeds(below),
            _ => false,
        }
    }
}

/// Decodes items without believing how many there are: a `Vec` reserves up to 1 MiB for what a list claims, and so on each level of
/// nesting.
fn as_they_arrive<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Items<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(Items(std::marker::PhantomData))
}

macro_rules! value_from {
    ($($rust:ty => $value:ident => $made:expr;)*) => {$(
        impl From<$rust> for Value {
            fn from($value: $rust) -> Self {
                $made
            }
        }
    )*};
}

value_from! {
    bool => value => Self::Bool(value);
    i32 => value => Self::Int(value.into());
    u32 => value => Self::Int(value.into());
    i64 => value => Self::Int(value);
    u64 => value => i64::try_from(value).map_or(Self::UInt(value), Self::Int);
    f64 => value => Self::Float(value);
    &str => value => Self::Str(value.into());
    String => value => Self::Str(value.into());
    Bytes => value => Self::Bytes(value);
    Vec<u8> => value => Self::Bytes(value.into());
    () => _value => Self::None;
    Typed => value => Self::Typed(value);
    TensorValue => value => Self::Tensor(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Value {
        (1..levels).fold(Value::Int(7), |inner, _| Value::List(vec![inner]))
    }

    #[test]
    fn values_come_back_bit_for_bit() {
        let opaque =
            Opaque { encoding: "pickle".into(), bytes: Bytes::from_static(b"\x80\x02."), globals: vec!["a.b".into()] };
        let dict = Value::Dict(vec![(DictKey::Int(3), Value::None), ("a.b".into(), Value::Tuple(vec![true.into()]))]);
        for value in [
            dict,
            u64::MAX.into(),
            i64::MIN.into(),
            Value::Complex(-0.0, f64::INFINITY),
            vec![0u8, 255].into(),
            "é".into(),
            Value::Opaque(opaque),
            nested(Value::MAX_DEPTH),
        ] {
            let decoded = Value::decode(&value.encode().expect("encodes"));
            assert_eq!(decoded, Ok(value));
        }
        let nan = f64::from_bits(0x7ff8_0000_dead_beef);
        let decoded = Value::decode(&Value::Float(nan).encode().expect("encodes")).expect("decodes");
        assert!(matches!(decoded, Value::Float(back) if back.to_bits() == nan.to_bits()));
    }

    #[test]
    fn hostile_values_are_refused() {
        assert_eq!(nested(Value::MAX_DEPTH + 1).encode(), Err(TypesError::TooDeep(Value::MAX_DEPTH)));
        let deep = [0x81, 0xa4, b'L', b'i', b's', b't', 0x91].repeat(100_000);
        assert!(matches!(Value::decode(&deep), Err(TypesError::Decode { .. })));
        let deeper_than_encoded = [&deep[..7 * Value::MAX_DEPTH], &[0xa4, b'N', b'o', b'n', b'e']].concat();
        assert!(matches!(Value::decode(&deeper_than_encoded), Err(TypesError::Decode { .. })));
        assert!(Value::decode(&deeper_than_encoded[7..]).is_ok());
        // A list that says it has 2^32 - 1 items.
        let huge = [0x81, 0xa4, b'L', b'i', b's', b't', 0xdd, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(Value::decode(&huge), Err(TypesError::Decode { .. })));
        let trailing = [Value::None.encode().expect("encodes"), Bytes::from_static(b"x")].concat();
        assert!(matches!(Value::decode(&trailing), Err(TypesError::Decode { .. })));
    }
}
