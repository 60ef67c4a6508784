//! Values as `torch.save` pickles them.

use std::collections::HashMap;

use bytes::Bytes;
use dcp_types::{DType, DictKey, TensorValue, Typed, Value};
use num_bigint::BigInt;

use super::value::ENCODING;
use super::write_tensor::{PickledTensor, no_hooks};
use crate::archive::{Archive, ArchiveWriter, Known};
use crate::pickle::{Pickler, Protocol, TooLong};

/// Why a value cannot be stored as PyTorch does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotStorable {
    #[error("a foreign object, encoded as {0:?}")]
    Foreign(String),
    #[error("a foreign object inside of a value")]
    ForeignInside,
    #[error("a foreign object that is no archive: {0}")]
    NoArchive(String),
    #[error("a value of type {0:?}")]
    Type(String),
    #[error("a value of type {name:?} that is not made of {expected}")]
    Content { name: &'static str, expected: &'static str },
    #[error("a key, or an item of a set, that is not hashable in Python")]
    NotHashable,
    #[error("more than {} levels of values", Value::MAX_DEPTH)]
    TooDeep,
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// A value as an archive. An opaque one that was taken from an archive is that archive.
pub(crate) fn encode(value: &Value) -> Result<Bytes, NotStorable> {
    if let Value::Opaque(opaque) = value {
        if &*opaque.encoding != ENCODING {
            return Err(NotStorable::Foreign(opaque.encoding.to_string()));
        }
        return match Archive::read(&Known::whole(opaque.bytes.clone())) {
            Ok(_) => Ok(opaque.bytes.clone()),
            Err(lack) => Err(NotStorable::NoArchive(lack.into_fault().reason())),
        };
    }
    let mut writer = Writer::new(0);
    writer.value(value, 1)?;
    let mut archive = ArchiveWriter::new(&writer.pickler.finish());
    for (key, storage) in writer.storages.iter().enumerate() {
        archive.storage(&key.to_string(), storage);
    }
    Ok(archive.finish().into())
}

pub(super) struct Writer<'v> {
    pub(super) pickler: Pickler,
    /// The key of the first of the storages.
    first: usize,
    pub(super) storages: Vec<&'v [u8]>,
    /// The number of each storage, by where it is. One that is used with two dtypes is there twice: in an archive it has one.
    numbers: HashMap<(*const u8, usize, DType), usize>,
}

/// CPython writes items in batches of so many.
const BATCH: usize = 1000;

impl<'v> Writer<'v> {
    pub(super) fn new(first: usize) -> Self {
        Self { pickler: Pickler::new(Protocol::Two), first, storages: Vec::new(), numbers: HashMap::new() }
    }

    pub(super) fn value(&mut self, value: &'v Value, depth: usize) -> Result<(), NotStorable> {
        if depth > Value::MAX_DEPTH {
            return Err(NotStorable::TooDeep);
        }
        match value {
            Value::None => self.pickler.none(),
            Value::Bool(value) => self.pickler.bool(*value),
            Value::Int(value) => self.pickler.int(*value),
            Value::UInt(value) => self.pickler.long(&i128::from(*value).to_le_bytes()),
            Value::Float(value) => self.pickler.float(*value),
            Value::Complex(real, imaginary) => {
                self.pickler.global(BUILTINS, "complex");
                self.pickler.float(*real);
                self.pickler.float(*imaginary);
                self.call(2);
            }
            Value::Str(text) => self.pickler.text(text)?,
            Value::Bytes(bytes) => self.bytes(bytes)?,
            Value::List(items) => self.list(items, depth + 1)?,
            Value::Tuple(items) => self.tuple(items, depth + 1)?,
            Value::Dict(items) => {
                self.pickler.empty_dict();
                self.dict(items, depth + 1)?;
            }
            Value::Tensor(tensor) => self.tensor(tensor, tensor.requires_grad())?,
            Value::Typed(typed) => self.typed(typed, depth + 1)?,
            Value::Opaque(_) => return Err(NotStorable::ForeignInside),
            other => return Err(NotStorable::Type(format!("{other:?}"))),
        }
        Ok(())
    }

    fn typed(&mut self, typed: &'v Typed, depth: usize) -> Result<(), NotStorable> {
        if depth > Value::MAX_DEPTH {
            return Err(NotStorable::TooDeep);
        }
        match (&*typed.name, &*typed.value) {
            (Typed::TORCH_SIZE, Value::Tuple(items)) if items.iter().all(|item| matches!(item, Value::Int(_))) => {
                self.pickler.global("torch", "Size");
                self.tuple(items, depth + 1)?;
                self.call(1);
            }
            (Typed::TORCH_SIZE, _) => return Err(content(Typed::TORCH_SIZE, "a tuple of integers")),
            (Typed::TORCH_DTYPE, value) => match text(value).and_then(|name| name.parse::<DType>().ok()) {
                Some(dtype) => self.pickler.global("torch", dtype.name()),
                None => return Err(content(Typed::TORCH_DTYPE, "the name of one")),
            },
            (Typed::TORCH_DEVICE, value) => {
                let device = text(value).and_then(device);
                let (kind, index) = device.ok_or_else(|| content(Typed::TORCH_DEVICE, "a name as cuda:0"))?;
                self.pickler.global("torch", "device");
                self.pickler.text(kind)?;
                index.into_iter().for_each(|index| self.pickler.int(index));
                self.call(if index.is_some() { 2 } else { 1 });
            }
            (Typed::TORCH_LAYOUT, value) => {
                let name = text(value).filter(|name| LAYOUTS.contains(name));
                let name = name.ok_or_else(|| content(Typed::TORCH_LAYOUT, "the name of one"))?;
                self.pickler.global("torch.serialization", "_get_layout");
                self.pickler.text(&format!("torch.{name}"))?;
                self.call(1);
            }
            (Typed::TORCH_PARAMETER, Value::Tensor(tensor)) => {
                self.pickler.global("torch._utils", "_rebuild_parameter");
                // The parameter says it, not what it is made of.
                self.tensor(tensor, false)?;
                self.pickler.bool(tensor.requires_grad());
                no_hooks(&mut self.pickler);
                self.call(3);
            }
            (Typed::TORCH_PARAMETER, _) => return Err(content(Typed::TORCH_PARAMETER, "a tensor")),
            (Typed::SET, Value::List(items)) => self.set("set", items, depth + 1)?,
            (Typed::SET, _) => return Err(content(Typed::SET, "a list")),
            (Typed::FROZENSET, Value::List(items)) => self.set("frozenset", items, depth + 1)?,
            (Typed::FROZENSET, _) => return Err(content(Typed::FROZENSET, "a list")),
            (Typed::BYTEARRAY, Value::Bytes(bytes)) => {
                self.pickler.global(BUILTINS, "bytearray");
                if !bytes.is_empty() {
                    self.bytes(bytes)?;
                }
                self.call(usize::from(!bytes.is_empty()));
            }
            (Typed::BYTEARRAY, _) => return Err(content(Typed::BYTEARRAY, "bytes")),
            (Typed::INT, value) => match text(value).and_then(|digits| digits.parse::<BigInt>().ok()) {
                Some(integer) => self.pickler.long(&integer.to_signed_bytes_le()),
                None => return Err(content(Typed::INT, "digits")),
            },
            (Typed::ORDERED_DICT, items) => {
                no_hooks(&mut self.pickler);
                match items {
                    Value::Dict(items) => self.dict(items, depth + 1)?,
                    Value::List(pairs) => self.pairs(Typed::ORDERED_DICT, pairs, depth + 1)?,
                    _ => return Err(content(Typed::ORDERED_DICT, "a dict or pairs")),
                }
            }
            (Typed::DICT, Value::List(pairs)) => {
                self.pickler.empty_dict();
                self.pairs(Typed::DICT, pairs, depth + 1)?;
            }
            (Typed::DICT, _) => return Err(content(Typed::DICT, "pairs")),
            (other, _) => return Err(NotStorable::Type(other.to_owned())),
        }
        Ok(())
    }

    /// Bytes are text of Latin-1 in this protocol.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), NotStorable> {
        if bytes.is_empty() {
            self.pickler.global(BUILTINS, "bytes");
            self.call(0);
            return Ok(());
        }
        self.pickler.global("_codecs", "encode");
        self.pickler.text(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>())?;
        self.pickler.text("latin1")?;
        self.call(2);
        Ok(())
    }

    fn list(&mut self, items: &'v [Value], depth: usize) -> Result<(), NotStorable> {
        self.pickler.empty_list();
        self.items(items, |writer, item| writer.value(item, depth))
    }

    /// Puts items into the list on top.
    pub(super) fn items<'i, T>(
        &mut self,
        items: &'i [T],
        mut item: impl FnMut(&mut Self, &'i T) -> Result<(), NotStorable>,
    ) -> Result<(), NotStorable> {
        for batch in items.chunks(BATCH) {
            if batch.len() > 1 {
                self.pickler.mark();
            }
            batch.iter().try_for_each(|each| item(self, each))?;
            if batch.len() > 1 { self.pickler.append_all() } else { self.pickler.append() }
        }
        Ok(())
    }

    fn tuple(&mut self, items: &'v [Value], depth: usize) -> Result<(), NotStorable> {
        if items.len() > 3 {
            self.pickler.mark();
        }
        items.iter().try_for_each(|item| self.value(item, depth))?;
        self.pickler.tuple(items.len());
        Ok(())
    }

    fn set(&mut self, class: &'static str, items: &'v [Value], depth: usize) -> Result<(), NotStorable> {
        if !items.iter().all(is_hashable) {
            return Err(NotStorable::NotHashable);
        }
        self.pickler.global(BUILTINS, class);
        self.list(items, depth)?;
        self.call(1);
        Ok(())
    }

    /// Puts entries into the dict on top.
    fn dict(&mut self, items: &'v [(DictKey, Value)], depth: usize) -> Result<(), NotStorable> {
        self.entries(items, |writer, (key, item)| {
            match key {
                DictKey::Str(text) => writer.pickler.text(text)?,
                DictKey::Int(number) => writer.pickler.int(*number),
            }
            writer.value(item, depth)
        })
    }

    /// The same with keys of any type.
    fn pairs(&mut self, name: &'static str, pairs: &'v [Value], depth: usize) -> Result<(), NotStorable> {
        self.entries(pairs, |writer, pair| match pair {
            Value::Tuple(pair) => match &pair[..] {
                [key, _] if !is_hashable(key) => Err(NotStorable::NotHashable),
                [key, item] => writer.value(key, depth + 1).and_then(|()| writer.value(item, depth + 1)),
                _ => Err(content(name, "pairs")),
            },
            _ => Err(content(name, "pairs")),
        })
    }

    /// The same in whatever way each entry is written.
    pub(super) fn entries<'e, T>(
        &mut self,
        entries: &'e [T],
        mut entry: impl FnMut(&mut Self, &'e T) -> Result<(), NotStorable>,
    ) -> Result<(), NotStorable> {
        for batch in entries.chunks(BATCH) {
            if batch.len() > 1 {
                self.pickler.mark();
            }
            batch.iter().try_for_each(|each| entry(self, each))?;
            if batch.len() > 1 { self.pickler.set_items() } else { self.pickler.set_item() }
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &'v TensorValue, requires_grad: bool) -> Result<(), NotStorable> {
        let (dtype, storage) = (tensor.dtype(), tensor.storage());
        // Whole elements only: what is beyond, no tensor shows.
        let storage = &storage[..storage.len() - storage.len() % dtype.size() as usize];
        let next = self.storages.len();
        let number = *self.numbers.entry((storage.as_ptr(), storage.len(), dtype)).or_insert(next);
        if number == next {
            self.storages.push(storage);
        }
        let tensor = PickledTensor {
            dtype,
            shape: tensor.shape().dims(),
            strides: tensor.strides(),
            offset: tensor.storage_offset(),
            requires_grad,
            key: &(self.first + number).to_string(),
            storage: storage.len() as u64,
        };
        Ok(tensor.write(&mut self.pickler)?)
    }

    /// Calls what lies below the last `count` items with them.
    fn call(&mut self, count: usize) {
        self.pickler.tuple(count);
        self.pickler.reduce();
    }
}

/// Python 2's name of the module: this is protocol 2.
const BUILTINS: &str = "__builtin__";
const LAYOUTS: [&str; 7] = ["strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "_mkldnn"];

fn content(name: &'static str, expected: &'static str) -> NotStorable {
    NotStorable::Content { name, expected }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Str(text) => Some(text),
        _ => None,
    }
}

/// The kind of a device, and its index.
fn device(name: &str) -> Option<(&str, Option<i64>)> {
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => (kind, Some(index.parse().ok().filter(|parsed: &u8| parsed.to_string() == index)?)),
        None => (name, None),
    };
    let is_name = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some((kind, index.map(i64::from)))
}

fn is_hashable(value: &Value) -> bool {
    match value {
        Value::List(_) | Value::Dict(_) => false,
        Value::Tuple(items) => items.iter().all(is_hashable),
        Value::Typed(typed) => {
            ![Typed::SET, Typed::BYTEARRAY, Typed::DICT, Typed::ORDERED_DICT].contains(&&*typed.name)
        }
        _ => true,
    }
}
