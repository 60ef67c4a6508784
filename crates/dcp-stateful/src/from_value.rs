//! Plain values as Rust types.

use dcp_types::reexports::bytes::Bytes;
use dcp_types::{DictKey, ElementMut, Loaded, LoadedLeaf, OwnedTensor, Tree, Value};
use ndarray::{Array, Dimension};

use crate::StatefulError;

/// A type that a loaded [`Value`] can become: the way back from `Value::from`.
///
/// Special types of another language do not matter: what counts is [`Value::plain`]. So a `Vec` comes from a set, too.
pub trait FromValue: Sized {
    /// The value; `None` if it is of another type, or does not fit.
    fn from_value(value: &Value) -> Option<Self>;

    /// What is expected, in plain words: `an integer from 0 to 255`.
    fn expected() -> String;
}

/// Takes a value that was loaded.
///
/// # Errors
/// [`StatefulError::Missing`] if there is none; [`StatefulError::WrongType`] if it is no `T`.
///
/// # Examples
///
/// ```
/// use dcp_stateful::value;
/// use dcp_types::{Loaded, LoadedLeaf};
///
/// let mut loaded = Loaded::new().with("step", LoadedLeaf::Value(17.into()));
/// assert_eq!(value::<u64>(&mut loaded, "step")?, 17);
/// let error = value::<u64>(&mut loaded, "epoch").unwrap_err();
/// assert_eq!(error.to_string(), "epoch was not loaded");
/// # Ok::<(), dcp_stateful::StatefulError>(())
/// ```
pub fn value<T: FromValue>(loaded: &mut Loaded, key: impl Into<DictKey>) -> Result<T, StatefulError> {
    let key = key.into();
    match value_if_loaded(loaded, key.clone())? {
        Some(value) => Ok(value),
        None => Err(StatefulError::Missing { key }),
    }
}

/// Takes a value that a load was allowed to leave out; `None` if it did.
///
/// # Errors
/// [`StatefulError::WrongType`] if there is something, but no `T`.
pub fn value_if_loaded<T: FromValue>(loaded: &mut Loaded, key: impl Into<DictKey>) -> Result<Option<T>, StatefulError> {
    let key = key.into();
    let Some(node) = loaded.take(key.clone()) else { return Ok(None) };
    let (value, found) = match &node {
        Tree::Leaf(LoadedLeaf::Value(value)) => (T::from_value(value), describe(value)),
        other => (None, describe_node(other)),
    };
    match value {
        Some(value) => Ok(Some(value)),
        None => Err(StatefulError::WrongType { key, expected: T::expected(), found }),
    }
}

fn describe(value: &Value) -> &'static str {
    match value.plain() {
        Value::None => "None",
        Value::Bool(_) => "a truth value",
        Value::Int(_) | Value::UInt(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Complex(..) => "a complex number",
        Value::Str(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "a list",
        Value::Tuple(_) => "a tuple",
        Value::Dict(_) => "a dict",
        Value::Opaque(_) => "a foreign object",
        Value::Tensor(_) => "a tensor",
        _ => "another kind of value",
    }
}

pub(crate) fn describe_node(node: &Tree<LoadedLeaf>) -> &'static str {
    match node {
        Tree::Dict(_) => "a dict",
        Tree::List(_) => "a list",
        Tree::Tuple(_) => "a tuple",
        Tree::Leaf(LoadedLeaf::Value(value)) => describe(value),
        Tree::Leaf(LoadedLeaf::Tensor(_) | LoadedLeaf::InPlace) => "a tensor",
    }
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl FromValue for $int {
            fn from_value(value: &Value) -> Option<Self> {
                match *value.plain() {
                    Value::Int(int) => int.try_into().ok(),
                    Value::UInt(int) => int.try_into().ok(),
                    _ => None,
                }
            }

            fn expected() -> String {
                format!("an integer from {} to {}", Self::MIN, Self::MAX)
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64, usize);

macro_rules! from_value {
    ($($rust:ty, $expected:literal: $pattern:pat => $made:expr;)*) => {$(
        impl FromValue for $rust {
            fn from_value(value: &Value) -> Option<Self> {
                match value.plain() {
                    $pattern => $made,
                    _ => None,
                }
            }

            fn expected() -> String {
                $expected.to_owned()
            }
        }
    )*};
}

from_value! {
    bool, "a truth value": Value::Bool(value) => Some(*value);
    String, "text": Value::Str(value) => Some(value.to_string());
    Bytes, "bytes": Value::Bytes(value) => Some(value.clone());
    (), "None": Value::None => Some(());

}

impl FromValue for f64 {
    /// Also of an integer: Python writes `1` where it means `1.0`.
    fn from_value(value: &Value) -> Option<Self> {
        match *value.plain() {
            Value::Float(float) => Some(float),
            // Whatever does not come back was rounded.
            Value::Int(int) => Some(int as Self).filter(|float| *float as i128 == i128::from(int)),
            _ => None,
        }
    }

    fn expected() -> String {
        "a float".to_owned()
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value.plain() {
            Value::None => Some(None),
            _ => T::from_value(value).map(Some),
        }
    }

    fn expected() -> String {
        format!("{}, or None", T::expected())
    }
}

/// Of a list or a tuple, and so of what is made of one: a set, a size.
impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value.plain() {
            Value::List(items) | Value::Tuple(items) => items.iter().map(T::from_value).collect(),
            _ => None,
        }
    }

    fn expected() -> String {
        format!("a list, of each {}", T::expected())
    }
}

impl FromValue for OwnedTensor {
    fn from_value(value: &Value) -> Option<Self> {
        let Value::Tensor(tensor) = value.plain() else { return None };
        let mut owned = Self::zeros(tensor.dtype(), tensor.shape().clone());
        let mut rest = owned.bytes_mut();
        for run in tensor.runs() {
            let (next, after) = rest.split_at_mut_checked(run.len())?;
            next.copy_from_slice(run);
            rest = after;
        }
        Some(owned)
    }

    fn expected() -> String {
        "a tensor".to_owned()
    }
}

/// Of a tensor inside a value, if it is of that dtype and has as many dimensions.
impl<T: ElementMut, D: Dimension> FromValue for Array<T, D> {
    fn from_value(value: &Value) -> Option<Self> {
        OwnedTensor::from_value(value)?.to_array::<T>().ok()?.into_dimensionality().ok()
    }

    fn expected() -> String {
        match D::NDIM {
            Some(dims) => format!("a tensor of {} with {dims} dimensions", T::DTYPE),
            None => format!("a tensor of {}", T::DTYPE),
        }
    }
}

impl FromValue for Value {
    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }

    fn expected() -> String {
        "a value".to_owned()
    }
}
