//! What the functions that a pickle of `torch.save` calls make of their arguments.

use dcp_types::DType;

use super::persistent::{PersistentId, StorageId};
use super::tensor::{StorageRef, TensorRef};
use super::vocabulary::{Global, Object, ObjectNode, Objects, StorageSize};
use crate::pickle::{Fault, Node};

/// `global(*args)`.
pub(super) fn call<'a>(
    objects: &mut Objects,
    global: Global,
    args: &[ObjectNode<'a>],
) -> Result<ObjectNode<'a>, Box<Fault>> {
    let object = match (global, args) {
        (Global::Foreign, _) => Object::Foreign,
        (Global::RebuildTensorV2 | Global::RebuildTensorV3, _) => tensor(global, args)?,
        (Global::RebuildParameter, [data, requires_grad, ..]) => parameter(data, requires_grad)?,
        (Global::Size, [items]) => Object::Size(integers(items)?),
        (Global::Device, _) => Object::Device(device(args)?),
        (Global::GetLayout, [Node::Str(name)]) => Object::Layout(name),
        (Global::Encode, [Node::Str(text), Node::Str("latin1" | "latin-1" | "iso-8859-1")]) => {
            Object::Bytes(objects.encode(text)?)
        }
        (Global::Bytes, []) => Object::Bytes(Vec::new()),
        (Global::ByteArray, []) => Object::ByteArray(Vec::new()),
        (Global::ByteArray, [Node::Bytes(bytes)]) => Object::ByteArray(bytes.to_vec()),
        (Global::ByteArray, [Node::Object(made)]) => match &*made.borrow() {
            Object::Bytes(bytes) => Object::ByteArray(objects.copy(bytes)?),
            _ => return Err(arguments(global)),
        },
        (Global::ByteArray, [Node::Str(text), Node::Str(_)]) => Object::ByteArray(objects.encode(text)?),
        (Global::Complex, [real, imaginary]) => Object::Complex(float(real)?, float(imaginary)?),
        (Global::OrderedDict, []) => Object::OrderedDict(Vec::new()),
        (Global::OrderedDict, [Node::List(pairs)]) => {
            let pair = |pair: &ObjectNode<'a>| match pair {
                Node::Tuple(pair) => match &pair.items()[..] {
                    [key, value] if key.is_hashable() => Ok((key.clone(), value.clone())),
                    _ => Err(arguments(global)),
                },
                _ => Err(arguments(global)),
            };
            Object::OrderedDict(pairs.borrow().iter().map(pair).collect::<Result<_, _>>()?)
        }
        (Global::Set, []) => return Ok(Node::set(Vec::new())),
        (Global::Set, [Node::List(items)]) => return Ok(Node::set(hashable(&items.borrow())?)),
        (Global::FrozenSet, []) => return Ok(Node::frozen_set(Vec::new().into())),
        (Global::FrozenSet, [Node::List(items)]) => return Ok(Node::frozen_set(hashable(&items.borrow())?.into())),
        _ => return Err(arguments(global)),
    };
    Ok(Node::object(object))
}

/// What a persistent id stands for.
pub(super) fn persistent<'a>(objects: &mut Objects, id: &ObjectNode<'a>) -> Result<ObjectNode<'a>, Box<Fault>> {
    let StorageId { class, key, numel, is_view, .. } = match PersistentId::of(id) {
        Some(PersistentId::Storage(id)) => id,
        Some(PersistentId::Class(class)) => return Ok(class.clone()),
        None => return Err(Fault::malformed(id.kind(), "a persistent id of a storage")),
    };
    if is_view {
        return Err(Fault::unsupported("a storage that is a view of another one"));
    }
    let class = if let Node::Atom(class) = *class { class } else { Global::Foreign };
    let size = class.element_size().map(|element| {
        let numel = u64::try_from(numel).ok();
        numel.and_then(|numel| Some(StorageSize { numel, length: numel.checked_mul(element)? }))
    });
    if let Some(None) = size {
        return Err(Fault::malformed(format!("a storage of {numel} elements"), "its size"));
    }
    let size = size.flatten();
    objects.note_storage(key, size);
    Ok(Node::object(match (class, size) {
        (Global::Storage(dtype), Some(StorageSize { length, .. })) => {
            Object::Storage(StorageRef { key: key.into(), dtype, length })
        }
        _ => Object::Foreign,
    }))
}

/// `(storage, offset, size, stride, requires_grad, hooks, [dtype,] [flags])`.
fn tensor<'a>(global: Global, args: &[ObjectNode<'a>]) -> Result<Object<'a>, Box<Fault>> {
    let [Node::Object(storage), offset, size, stride, Node::Bool(requires_grad), _, rest @ ..] = args else {
        return Err(arguments(global));
    };
    let Object::Storage(storage) = &*storage.borrow() else {
        // Of a storage that is not known, or of a subclass.
        return Ok(Object::Foreign);
    };
    let (dtype, rest) = match (global, rest) {
        (Global::RebuildTensorV3, [Node::Atom(Global::DType(dtype)), rest @ ..]) => (*dtype, rest),
        (Global::RebuildTensorV3, [Node::Atom(Global::Foreign), ..]) => return Ok(Object::Foreign),
        (Global::RebuildTensorV3, _) => return Err(arguments(global)),
        _ => (storage.dtype, rest),
    };
    let mut tensor = TensorRef {
        dtype,
        shape: extents(size)?,
        strides: extents(stride)?,
        offset: extent(offset)?,
        storage: storage.clone(),
        requires_grad: *requires_grad,
        conjugate: false,
        negate: false,
    };
    for flags in rest {
        match flags {
            Node::None => {}
            Node::Dict(flags) => {
                for (key, value) in flags.borrow().iter() {
                    match (key, value) {
                        (Node::Str("conj"), Node::Bool(is_set)) => tensor.conjugate = *is_set,
                        (Node::Str("neg"), Node::Bool(is_set)) => tensor.negate = *is_set,
                        _ => return Err(Fault::unsupported(format!("a tensor with {key:?}: {value:?}"))),
                    }
                }
            }
            _ => return Err(arguments(global)),
        }
    }
    let is_complex = matches!(dtype, DType::Complex32 | DType::Complex64 | DType::Complex128);
    if tensor.conjugate && !is_complex {
        return Err(Fault::malformed(format!("a conjugate of {dtype}"), "a complex dtype"));
    }
    tensor.check().map_err(|reason| Fault::malformed(reason, "a tensor inside its storage"))?;
    Ok(Object::Tensor(Box::new(tensor)))
}

/// `(data, requires_grad, hooks)`.
fn parameter<'a>(data: &ObjectNode<'a>, requires_grad: &ObjectNode<'a>) -> Result<Object<'a>, Box<Fault>> {
    let (Node::Object(data), Node::Bool(requires_grad)) = (data, requires_grad) else {
        return Err(arguments(Global::RebuildParameter));
    };
    Ok(match &*data.borrow() {
        Object::Tensor(tensor) => {
            Object::Parameter(Box::new(TensorRef { requires_grad: *requires_grad, ..(**tensor).clone() }))
        }
        _ => Object::Foreign,
    })
}

/// `(type, [index])`.
fn device(args: &[ObjectNode<'_>]) -> Result<String, Box<Fault>> {
    match args {
        [Node::Str(kind)] => Ok((*kind).to_owned()),
        [Node::Str(kind), Node::Int(index)] => Ok(format!("{kind}:{index}")),
        _ => Err(arguments(Global::Device)),
    }
}

fn extents(node: &ObjectNode<'_>) -> Result<Vec<u64>, Box<Fault>> {
    let positive = |extent: i64| u64::try_from(extent).map_err(|_| Fault::malformed(extent, "an extent or stride"));
    integers(node)?.into_iter().map(positive).collect()
}

fn extent(node: &ObjectNode<'_>) -> Result<u64, Box<Fault>> {
    match node {
        Node::Int(value) => u64::try_from(*value).map_err(|_| Fault::malformed(value, "an offset")),
        _ => Err(Fault::malformed(node.kind(), "an offset")),
    }
}

/// A tuple of integers, or a `torch.Size`.
fn integers(node: &ObjectNode<'_>) -> Result<Vec<i64>, Box<Fault>> {
    let integer = |item: &ObjectNode<'_>| match item {
        Node::Int(value) => Ok(*value),
        _ => Err(Fault::malformed(item.kind(), "an integer")),
    };
    match node {
        Node::Tuple(items) => items.items().iter().map(integer).collect(),
        Node::List(items) => items.borrow().iter().map(integer).collect(),
        Node::Object(object) => match &*object.borrow() {
            Object::Size(items) => Ok(items.clone()),
            _ => Err(Fault::malformed("an object", "a tuple of integers")),
        },
        _ => Err(Fault::malformed(node.kind(), "a tuple of integers")),
    }
}

fn float(node: &ObjectNode<'_>) -> Result<f64, Box<Fault>> {
    match node {
        Node::Float(value) => Ok(*value),
        Node::Int(value) => Ok(*value as f64),
        _ => Err(Fault::malformed(node.kind(), "a float")),
    }
}

fn hashable<'a>(items: &[ObjectNode<'a>]) -> Result<Vec<ObjectNode<'a>>, Box<Fault>> {
    match items.iter().find(|item| !item.is_hashable()) {
        Some(item) => Err(Fault::malformed(item.kind(), "something hashable")),
        None => Ok(items.to_vec()),
    }
}

fn arguments(global: Global) -> Box<Fault> {
    Fault::malformed(format!("other arguments of {global:?}"), "those that PyTorch gives it")
}
