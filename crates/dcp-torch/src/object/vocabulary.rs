//! The globals in a pickle of `torch.save`. Those that are not known here are kept by name, and whatever is made of them is
//! foreign: nothing ends because of it, but the value is carried as it is.

use std::collections::HashMap;

use indexmap::IndexSet;

use dcp_types::DType;

use super::rebuild;
use super::tensor::{StorageRef, TensorRef};
use crate::pickle::{Fault, Node, Nodes, Pair, Vocabulary};

pub(super) type ObjectNode<'a> = Node<'a, Objects>;

/// The vocabulary, and the foreign names that a pickle has used.
#[derive(Debug)]
pub(super) struct Objects {
    foreign: IndexSet<Box<str>>,
    storages: HashMap<Box<str>, Option<StorageSize>>,
    /// How many bytes may still be made of text.
    text_left: usize,
}

/// How large a storage is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorageSize {
    pub(crate) numel: u64,
    /// In bytes.
    pub(crate) length: u64,
}

/// A global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    RebuildTensorV2,
    RebuildTensorV3,
    RebuildParameter,
    /// A class of storages with elements of a dtype; bytes for the untyped one.
    Storage(DType),
    /// A class of storages whose elements are of no dtype here, but of so many bytes.
    QuantizedStorage(u64),
    DType(DType),
    Size,
    Device,
    GetLayout,
    Encode,
    Bytes,
    ByteArray,
    Set,
    FrozenSet,
    Complex,
    OrderedDict,
    Foreign,
}

/// Something that was made by calling a global.
#[derive(Debug)]
pub(super) enum Object<'a> {
    Storage(StorageRef),
    Tensor(Box<TensorRef>),
    Parameter(Box<TensorRef>),
    OrderedDict(Vec<Pair<'a, Objects>>),
    Complex(f64, f64),
    Size(Vec<i64>),
    Device(String),
    Layout(&'a str),
    Bytes(Vec<u8>),
    ByteArray(Vec<u8>),
    Foreign,
}

impl Objects {
    /// A vocabulary for a pickle of so many bytes.
    pub(super) fn new(length: usize) -> Self {
        Self { foreign: IndexSet::new(), storages: HashMap::new(), text_left: 2 * length }
    }

    /// The sizes of storages by key, where their class is known.
    pub(super) fn storages(&self) -> &HashMap<Box<str>, Option<StorageSize>> {
        &self.storages
    }

    /// Notes a storage, unless it is known already.
    pub(super) fn note_storage(&mut self, key: &str, size: Option<StorageSize>) {
        if !self.storages.contains_key(key) {
            self.storages.insert(key.into(), size);
        }
    }

    /// The foreign globals, as `os.system`, in the order of their first use.
    pub(super) fn foreign(&self) -> impl ExactSizeIterator<Item = &str> {
        self.foreign.iter().map(AsRef::as_ref)
    }

    /// A copy of bytes that were made before.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Box<Fault>> {
        self.spend(bytes.len())?;
        Ok(bytes.to_vec())
    }

    /// Bytes from text whose characters are bytes, as Python writes them in protocol 2.
    pub(super) fn encode(&mut self, text: &str) -> Result<Vec<u8>, Box<Fault>> {
        self.spend(text.len())?;
        let byte =
            |char: char| u8::try_from(u32::from(char)).map_err(|_| Fault::malformed(char, "a character of Latin-1"));
        text.chars().map(byte).collect()
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Box<Fault>> {
        let Some(left) = self.text_left.checked_sub(bytes) else {
            return Err(Fault::limit("what is made anew", self.text_left as u64));
        };
        self.text_left = left;
        Ok(())
    }
}

impl<'a> Vocabulary<'a> for Objects {
    type Atom = Global;
    type Object = Object<'a>;

    fn global(&mut self, module: &'a str, name: &'a str) -> Result<Global, Box<Fault>> {
        let global = known(module, name);
        if global == Global::Foreign {
            self.foreign.insert(format!("{module}.{name}").into());
        }
        Ok(global)
    }

    fn call(&mut self, callable: &ObjectNode<'a>, args: Nodes<'a, Self>) -> Result<ObjectNode<'a>, Box<Fault>> {
        match callable {
            Node::Atom(global) => rebuild::call(self, *global, &args),
            _ => Ok(Node::object(Object::Foreign)),
        }
    }

    fn make(
        &mut self,
        class: &ObjectNode<'a>,
        args: Nodes<'a, Self>,
        _kwargs: Option<ObjectNode<'a>>,
    ) -> Result<ObjectNode<'a>, Box<Fault>> {
        self.call(class, args)
    }

    fn set_state(&mut self, object: &mut Object<'a>, _state: &ObjectNode<'a>) -> Result<(), Box<Fault>> {
        // A module's state dict has attributes, of which nothing is lost that a state needs (`_metadata`); nothing else that is
        // known here has any.
        if !matches!(object, Object::OrderedDict(_) | Object::Foreign) {
            self.foreign.insert("attributes of a tensor".into());
            *object = Object::Foreign;
        }
        Ok(())
    }

    fn append(&mut self, object: &mut Object<'a>, _items: Vec<ObjectNode<'a>>) -> Result<(), Box<Fault>> {
        match object {
            Object::Foreign => Ok(()),
            _ => Err(Fault::malformed("items for an object that takes none", "a list")),
        }
    }

    fn set_items(&mut self, object: &mut Object<'a>, pairs: Vec<Pair<'a, Self>>) -> Result<(), Box<Fault>> {
        match object {
            Object::Foreign => Ok(()),
            Object::OrderedDict(items) => {
                items.extend(pairs);
                Ok(())
            }
            _ => Err(Fault::malformed("keys for an object that takes none", "a dict")),
        }
    }

    fn persistent(&mut self, id: ObjectNode<'a>) -> Result<ObjectNode<'a>, Box<Fault>> {
        rebuild::persistent(self, &id)
    }
}

/// The size of the elements of a class of storages, if it is known.
pub(super) fn element_size(module: &str, name: &str) -> Option<u64> {
    known(module, name).element_size()
}

impl Global {
    /// If it is a class of storages.
    pub(super) fn element_size(self) -> Option<u64> {
        match self {
            Self::Storage(dtype) => Some(dtype.size()),
            Self::QuantizedStorage(size) => Some(size),
            _ => None,
        }
    }
}

fn known(module: &str, name: &str) -> Global {
    let dtype = |name: &str| name.parse::<DType>();
    match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensorV2,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTensorV3,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch.storage", "UntypedStorage") | ("torch", "UntypedStorage") => Global::Storage(DType::UInt8),
        ("torch", "Size") => Global::Size,
        ("torch", "device") => Global::Device,
        ("torch.serialization", "_get_layout") => Global::GetLayout,
        ("_codecs", "encode") => Global::Encode,
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("builtins" | "__builtin__", "bytes") => Global::Bytes,
        ("builtins" | "__builtin__", "bytearray") => Global::ByteArray,
        ("builtins" | "__builtin__", "set") => Global::Set,
        ("builtins" | "__builtin__", "frozenset") => Global::FrozenSet,
        ("builtins" | "__builtin__", "complex") => Global::Complex,
        ("torch", "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage") => {
            Global::QuantizedStorage(1)
        }
        ("torch", "QInt32Storage") => Global::QuantizedStorage(4),
        ("torch", _) => match (storage(name), dtype(name)) {
            (Some(dtype), _) => Global::Storage(dtype),
            (None, Ok(dtype)) => Global::DType(dtype),
            (None, Err(_)) => Global::Foreign,
        },
        _ => Global::Foreign,
    }
}

/// The classes of storages of one dtype (`torch/__init__.py`).
const STORAGES: [(&str, DType); 12] = [
    ("DoubleStorage", DType::Float64),
    ("FloatStorage", DType::Float32),
    ("HalfStorage", DType::Float16),
    ("BFloat16Storage", DType::BFloat16),
    ("LongStorage", DType::Int64),
    ("IntStorage", DType::Int32),
    ("ShortStorage", DType::Int16),
    ("CharStorage", DType::Int8),
    ("ByteStorage", DType::UInt8),
    ("BoolStorage", DType::Bool),
    ("ComplexDoubleStorage", DType::Complex128),
    ("ComplexFloatStorage", DType::Complex64),
];

/// The dtype of a class of storages.
fn storage(class: &str) -> Option<DType> {
    STORAGES.iter().find(|(name, _)| *name == class).map(|(_, dtype)| *dtype)
}

/// The class of the storages of a dtype, if it has one.
pub(super) fn storage_class(dtype: DType) -> Option<&'static str> {
    STORAGES.iter().find(|(_, of)| *of == dtype).map(|(name, _)| *name)
}
