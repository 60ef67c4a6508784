//! Objects as values.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use dcp_storage::{PostStep, StorageError, Strictness};
use dcp_types::{DictKey, Opaque, Shape, TensorValue, Typed, Value};
use num_bigint::BigInt;

use super::harm::harm_in;
use super::read::{ObjectFault, read};
use super::tensor::TensorRef;
use super::vocabulary::{Global, Object, ObjectNode, Objects};
use crate::archive::{Archive, Fault, Known, Lack, MAX_PICKLE};
use crate::pickle::{Node, Pair};

/// How an opaque value is encoded that was taken from an archive.
pub(crate) const ENCODING: &str = "torch-save";
/// An integer of more bytes than this is not written out in digits.
const MAX_DIGITS: usize = 1 << 10;
/// The most bytes of tensors in one object, if they have more than the archive: tensors may share a storage, or be expanded.
const MAX_TENSORS: u64 = 64 << 20;
/// The most values in one object, beyond one for each byte of its pickle: what is shared is written out.
const MAX_SHARED: usize = 1 << 20;

/// The value in an archive of which all bytes are known. What cannot be expressed is opaque, with the globals that it names.
pub(super) fn decode(bytes: &Bytes) -> Result<Value, Fault> {
    let known = Known::whole(bytes.clone());
    decode_known(&known, bytes).map_err(Lack::into_fault)
}

/// The same for the value of this name. What would do harm in Python is refused, unless it is to be salvaged.
pub(crate) fn decode_strictly(bytes: &Bytes, name: &str, strictness: Strictness) -> Result<Value, StorageError> {
    let value =
        decode(bytes).map_err(|fault| StorageError::BadValue { reason: format!("{name}: {}", fault.reason()) })?;
    match harm_in(&value, name) {
        Some(harm) if strictness == Strictness::Strict => Err(harm),
        _ => Ok(value),
    }
}

fn decode_known(known: &Known, bytes: &Bytes) -> Result<Value, Lack> {
    let archive = Archive::read(known)?;
    archive.check_contents(known)?;
    let (pickle, start) = archive.pickle(known, MAX_PICKLE)?;
    let outcome = read(&pickle, |root, objects| match Converter::new(&archive, known, pickle.len()).convert(root) {
        Ok(value) if objects.foreign().len() == 0 => Ok(Ok(value)),
        Ok(_) | Err(NoValue::Foreign) => {
            let globals = objects.foreign().map(Into::into).collect();
            Ok(Ok(Value::Opaque(Opaque { encoding: ENCODING.into(), bytes: bytes.clone(), globals })))
        }
        Err(NoValue::Lack(lack)) => Ok(Err(lack)),
        Err(NoValue::Fault(reason)) => Err(ObjectFault::new(reason)),
    });
    match outcome {
        Ok((decoded, _)) => decoded,
        Err(fault) => Err(fault.at(start)),
    }
}

/// How many bytes of an archive have a checksum; [`decode`] compares it.
pub(crate) fn checked_bytes(bytes: &Bytes) -> u64 {
    Archive::read(&Known::whole(bytes.clone())).map_or(0, |archive| archive.checked_bytes())
}

/// Makes values of what a pickle has built.
pub(super) struct Converter<'s> {
    pub(super) archive: &'s Archive,
    pub(super) known: &'s Known,
    storages: HashMap<Box<str>, Bytes>,
    /// How many values may still be made.
    values: usize,
    /// How many bytes of tensors.
    tensors: u64,
    /// What must be read before values are right: offsets and lengths.
    pub(super) missing: Vec<(u64, u64)>,
    missing_keys: HashSet<Box<str>>,
}

/// Why a node is no value.
pub(super) enum NoValue {
    /// It can be expressed only where it comes from.
    Foreign,
    Fault(String),
    Lack(Lack),
}

impl<'s> Converter<'s> {
    /// For the pickle of this archive, which has so many bytes.
    pub(super) fn new(archive: &'s Archive, known: &'s Known, pickle: usize) -> Self {
        let (values, tensors) = (MAX_SHARED + pickle, MAX_TENSORS.max(known.length()));
        Self {
            archive,
            known,
            storages: HashMap::new(),
            values,
            tensors,
            missing: Vec::new(),
            missing_keys: HashSet::new(),
        }
    }

    /// The value that a node is.
    pub(super) fn convert(&mut self, node: &ObjectNode<'_>) -> Result<Value, NoValue> {
        self.value(node, 1)
    }

    fn value(&mut self, node: &ObjectNode<'_>, depth: usize) -> Result<Value, NoValue> {
        self.values = self.values.checked_sub(1).ok_or(NoValue::Foreign)?;
        if depth > Value::MAX_DEPTH {
            return Err(NoValue::Foreign);
        }
        Ok(match node {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::BigInt(digits) => integer(digits)?,
            Node::Float(value) => Value::Float(*value),
            Node::Str(text) => Value::Str((*text).into()),
            Node::Bytes(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
            Node::ByteArray(bytes) => typed(Typed::BYTEARRAY, Value::Bytes(Bytes::copy_from_slice(bytes))),
            Node::Tuple(items) => Value::Tuple(self.each(items.items(), depth + 1)?),
            Node::List(items) => Value::List(self.each(&items.borrow(), depth + 1)?),
            Node::Set(items) => typed(Typed::SET, Value::List(self.each(&items.borrow(), depth + 2)?)),
            Node::FrozenSet(items) => typed(Typed::FROZENSET, Value::List(self.each(items.items(), depth + 2)?)),
            Node::Dict(pairs) => match self.dict(&pairs.borrow(), depth + 1)? {
                Some(dict) => dict,
                None => typed(Typed::DICT, self.pairs(&pairs.borrow(), depth + 2)?),
            },
            Node::Atom(Global::DType(dtype)) => typed(Typed::TORCH_DTYPE, dtype.name()),
            Node::Atom(_) => return Err(NoValue::Foreign),
            Node::Object(object) => self.object(&object.borrow(), depth)?,
        })
    }

    fn object(&mut self, object: &Object<'_>, depth: usize) -> Result<Value, NoValue> {
        Ok(match object {
            Object::Tensor(tensor) => Value::Tensor(self.tensor(tensor)?),
            Object::Parameter(tensor) => typed(Typed::TORCH_PARAMETER, Value::Tensor(self.tensor(tensor)?)),
            Object::OrderedDict(pairs) => {
                let items = match self.dict(pairs, depth + 2)? {
                    Some(dict) => dict,
                    None => self.pairs(pairs, depth + 2)?,
                };
                typed(Typed::ORDERED_DICT, items)
            }
            Object::Complex(real, imaginary) => Value::Complex(*real, *imaginary),
            Object::Size(extents) => {
                typed(Typed::TORCH_SIZE, Value::Tuple(extents.iter().map(|&extent| Value::Int(extent)).collect()))
            }
            Object::Device(device) => typed(Typed::TORCH_DEVICE, device.as_str()),
            Object::Layout(layout) => typed(Typed::TORCH_LAYOUT, layout.strip_prefix("torch.").unwrap_or(layout)),
            Object::Bytes(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
            Object::ByteArray(bytes) => typed(Typed::BYTEARRAY, Value::Bytes(Bytes::copy_from_slice(bytes))),
            Object::Storage(_) | Object::Foreign => return Err(NoValue::Foreign),
        })
    }

    fn each(&mut self, items: &[ObjectNode<'_>], depth: usize) -> Result<Vec<Value>, NoValue> {
        items.iter().map(|item| self.value(item, depth)).collect()
    }

    /// A dict, if its keys are text and integers. Of a key that is there twice the last value counts, in the first one's place.
    fn dict(&mut self, pairs: &[Pair<'_, Objects>], depth: usize) -> Result<Option<Value>, NoValue> {
        let mut places = HashMap::new();
        let mut items: Vec<(DictKey, Value)> = Vec::new();
        for (key, node) in pairs {
            let key = match key {
                Node::Str(text) => DictKey::Str((*text).into()),
                Node::Int(number) => DictKey::Int(*number),
                _ => return Ok(None),
            };
            let item = self.value(node, depth)?;
            match places.get(&key) {
                Some(&place) => items[place] = (key, item),
                None => {
                    places.insert(key.clone(), items.len());
                    items.push((key, item));
                }
            }
        }
        Ok(Some(Value::Dict(items)))
    }

    /// A dict with other keys.
    fn pairs(&mut self, pairs: &[Pair<'_, Objects>], depth: usize) -> Result<Value, NoValue> {
        let mut pair = |(key, item): &Pair<'_, Objects>| {
            Ok(Value::Tuple(vec![self.value(key, depth + 1)?, self.value(item, depth + 1)?]))
        };
        Ok(Value::List(pairs.iter().map(&mut pair).collect::<Result<_, _>>()?))
    }

    fn tensor(&mut self, tensor: &TensorRef) -> Result<TensorValue, NoValue> {
        let TensorRef { dtype, shape, strides, offset, storage, requires_grad, .. } = tensor;
        // The others may be missing as well: they are asked for together.
        let Some(bytes) = self.storage(&storage.key)? else {
            let none = Shape::new([0]).and_then(|shape| TensorValue::new(*dtype, shape, Bytes::new()));
            return none.map_err(|_| NoValue::Foreign);
        };
        storage.check(bytes.len() as u64).map_err(NoValue::Fault)?;
        // What is too large for these types stays as it is.
        let shape = Shape::new(shape.iter().copied()).map_err(|_| NoValue::Foreign)?;
        let strided = TensorValue::strided(*dtype, shape, strides.iter().copied(), *offset, bytes);
        let strided = strided.map_err(|_| NoValue::Foreign)?;
        self.tensors = self.tensors.checked_sub(strided.nbytes()).ok_or(NoValue::Foreign)?;
        let steps = tensor.layout(self.archive.byte_order).steps;
        if steps.is_empty() {
            return Ok(strided.with_requires_grad(*requires_grad));
        }
        let mut elements = strided.to_bytes().to_vec();
        PostStep::apply(&steps, *dtype, &mut elements).map_err(NoValue::Fault)?;
        let done = TensorValue::new(*dtype, strided.shape().clone(), elements).map_err(|_| NoValue::Foreign)?;
        Ok(done.with_requires_grad(*requires_grad))
    }

    /// The bytes of a storage: one copy for all tensors that look into it. `None` if they must be read first.
    fn storage(&mut self, key: &str) -> Result<Option<Bytes>, NoValue> {
        if let Some(bytes) = self.storages.get(key) {
            return Ok(Some(bytes.clone()));
        }
        match self.archive.storage_bytes(self.known, key) {
            Ok(bytes) => {
                self.storages.insert(key.into(), bytes.clone());
                Ok(Some(bytes))
            }
            Err(Lack::Bytes { offset, length }) => {
                if self.missing_keys.insert(key.into()) {
                    self.missing.push((offset, length));
                }
                Ok(None)
            }
            Err(lack) => Err(NoValue::Lack(lack)),
        }
    }
}

fn typed(name: &'static str, value: impl Into<Value>) -> Value {
    Value::Typed(Typed::new(name, value))
}

/// An integer beyond 64 bits.
fn integer(digits: &[u8]) -> Result<Value, NoValue> {
    if digits.len() > MAX_DIGITS {
        return Err(NoValue::Foreign);
    }
    let integer = BigInt::from_signed_bytes_le(digits);
    Ok(match u64::try_from(&integer) {
        Ok(value) => value.into(),
        Err(_) => typed(Typed::INT, integer.to_string()),
    })
}
