//! The vocabulary of `.metadata`.

use dcp_types::{DType, Shape};

use super::extents::{ExtentList, Extents};
use super::flaw::{Flaw, short};
use super::lists::{ListNumber, Lists};
use super::states::{Attributes, Object, leaf_of};
use super::texts::Texts;
use crate::pickle::{Fault, Node, Nodes, Vocabulary};

/// What a `.metadata` may say, and what it has said so far.
#[derive(Debug, Default)]
pub(super) struct Words<'a> {
    extents: ExtentList,
    /// What the keys of places are named.
    pub(super) names: Texts<'a>,
    /// The files of places.
    pub(super) paths: Texts<'a>,
    flaws: Vec<Flaw>,
    pub(super) transforms: Lists<&'a str>,
}

/// A leaf.
#[derive(Clone, Copy, Debug)]
pub(super) enum Atom {
    Class(Class),
    /// `torch.Size`.
    Size,
    /// `torch.serialization._get_layout`.
    GetLayout,
    /// A class of which nothing but its name matters: a memory format, a path.
    Ignored,
    DType(DType),
    /// A dtype that is PyTorch's, but not known here: its number among those.
    ForeignDType(u8),
    /// The layout of an ordinary tensor.
    Strided,
    Extents(Extents),
    Properties(DType),
    /// What is known of an object that is no tensor.
    Bytes,
    Chunk {
        offsets: Extents,
        sizes: Extents,
    },
    /// What the place of an item is listed under.
    Key {
        /// Its number among the names.
        name: u32,
        offset: Option<Extents>,
        /// Probably the number of the chunk.
        hint: u32,
    },
    /// Where an item lies.
    Place {
        /// Its number among the paths.
        path: u32,
        offset: u64,
        length: u64,
        /// The list of transforms that it went through.
        transforms: ListNumber,
    },
    /// Not what it should be: the number of the flaw.
    Flawed(u32),
}

/// A class whose objects are made and then filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Metadata,
    Tensor,
    Bytes,
    Chunk,
    Index,
    Properties,
    Storage,
    StorageMeta,
}

impl<'a> Words<'a> {
    pub(super) fn extents(&self, extents: Extents) -> &[u64] {
        self.extents.get(extents)
    }

    pub(super) fn extent_list(&self) -> &ExtentList {
        &self.extents
    }

    pub(super) fn flaw(&self, number: u32) -> Flaw {
        self.flaws.get(number as usize).cloned().unwrap_or_else(|| Flaw::corrupt("unknown flaw"))
    }

    pub(super) fn note(&mut self, flaw: Flaw) -> u32 {
        self.flaws.push(flaw);
        u32::try_from(self.flaws.len() - 1).unwrap_or(u32::MAX)
    }

    /// Keeps a shape or offset.
    pub(super) fn keep(&mut self, items: &[Node<'a, Self>]) -> Result<Extents, Flaw> {
        if items.len() > Shape::MAX_DIMS {
            return Err(Flaw::corrupt(format_args!("{} dimensions", items.len())));
        }
        for item in items {
            match item {
                Node::Int(extent) if *extent >= 0 => {}
                Node::Int(extent) => return Err(Flaw::corrupt(format_args!("the negative extent {extent}"))),
                other => return Err(Flaw::corrupt(format_args!("{} as an extent", other.kind()))),
            }
        }
        let extents = items.iter().map(|item| if let Node::Int(extent) = item { extent.unsigned_abs() } else { 0 });
        self.extents.keep(extents).ok_or_else(|| Flaw::corrupt("too many extents"))
    }
}

pub(super) const METADATA: &str = "torch.distributed.checkpoint.metadata";
pub(super) const FILESYSTEM: &str = "torch.distributed.checkpoint.filesystem";
/// Where PyTorch 2.0 and 2.1 have the properties of tensors.
const SHARDED_TENSOR: &str = "torch.distributed._shard.sharded_tensor.metadata";

/// Dtypes of PyTorch that have no counterpart here.
pub(super) const FOREIGN_DTYPES: &[&str] = &[
    "qint8", "quint8", "qint32", "quint4x2", "quint2x4", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2", "int1",
    "int2", "int3", "int4", "int5", "int6", "int7", "uint1", "uint2", "uint3", "uint4", "uint5", "uint6", "uint7",
];

impl<'a> Vocabulary<'a> for Words<'a> {
    type Atom = Atom;
    type Object = Object<'a>;

    fn global(&mut self, module: &'a str, name: &'a str) -> Result<Atom, Box<Fault>> {
        Ok(match (module, name) {
            (METADATA, "Metadata") => Atom::Class(Class::Metadata),
            (METADATA, "TensorStorageMetadata") => Atom::Class(Class::Tensor),
            (METADATA, "BytesStorageMetadata") => Atom::Class(Class::Bytes),
            (METADATA, "ChunkStorageMetadata") => Atom::Class(Class::Chunk),
            (METADATA, "MetadataIndex") => Atom::Class(Class::Index),
            (METADATA, "StorageMeta") => Atom::Class(Class::StorageMeta),
            (METADATA | SHARDED_TENSOR, "TensorProperties") => Atom::Class(Class::Properties),
            (METADATA, "_MEM_FORMAT_ENCODING") | (SHARDED_TENSOR, "MEM_FORMAT_ENCODING") => Atom::Ignored,
            (FILESYSTEM, "_StorageInfo") => Atom::Class(Class::Storage),
            ("pathlib" | "pathlib._local", "PosixPath" | "WindowsPath" | "PurePosixPath" | "PureWindowsPath") => {
                Atom::Ignored
            }
            ("torch.serialization", "_get_layout") => Atom::GetLayout,
            ("torch", "Size") => Atom::Size,
            ("torch", dtype) => {
                match (dtype.parse(), (0..).zip(FOREIGN_DTYPES).find(|(_, foreign)| **foreign == dtype)) {
                    (Ok(dtype), _) => Atom::DType(dtype),
                    (_, Some((number, _))) => Atom::ForeignDType(number),
                    _ => return Err(Fault::forbidden(module, short(name))),
                }
            }
            _ => return Err(Fault::forbidden(short(module), short(name))),
        })
    }

    fn call(&mut self, callable: &Node<'a, Self>, args: Nodes<'a, Self>) -> Result<Node<'a, Self>, Box<Fault>> {
        let atom = match (callable, &*args) {
            (Node::Atom(Atom::Size), [Node::Tuple(extents)]) => match self.keep(extents.items()) {
                Ok(extents) => Atom::Extents(extents),
                Err(flaw) => Atom::Flawed(self.note(flaw)),
            },
            (Node::Atom(Atom::GetLayout), [Node::Str("torch.strided")]) => Atom::Strided,
            (Node::Atom(Atom::GetLayout), [Node::Str(layout)]) => {
                Atom::Flawed(self.note(Flaw::Unreadable(format!("the layout {}", short(layout)))))
            }
            (Node::Atom(Atom::Ignored), _) => Atom::Ignored,
            _ => return Err(Fault::malformed("a call of something else", "a shape, layout, memory format or path")),
        };
        Ok(Node::Atom(atom))
    }

    fn make(
        &mut self,
        class: &Node<'a, Self>,
        args: Nodes<'a, Self>,
        kwargs: Option<Node<'a, Self>>,
    ) -> Result<Node<'a, Self>, Box<Fault>> {
        match (class, &*args, kwargs) {
            (Node::Atom(Atom::Class(class)), [], None) => Ok(Node::object(Object::New(*class))),
            _ => Err(Fault::malformed("an object made of something else", "one made of a class and nothing else")),
        }
    }

    fn set_state(&mut self, object: &mut Object<'a>, state: &Node<'a, Self>) -> Result<(), Box<Fault>> {
        let Object::New(class) = object else {
            return Err(Fault::malformed("a second state of an object", "one"));
        };
        let class = *class;
        *object = match Object::filled(class, state, self) {
            Ok(filled) => filled,
            Err(flaw) => Object::Leaf(Atom::Flawed(self.note(flaw))),
        };
        Ok(())
    }

    fn has_records(&self) -> bool {
        #[cfg(test)]
        return super::tests::has_records();
        #[cfg(not(test))]
        true
    }

    fn record(&mut self, class: &Atom, names: &[&'a str], values: &[Node<'a, Self>]) -> Option<Atom> {
        let Atom::Class(class) = class else { return None };
        let value_of = |name: &str| values.get(names.iter().rposition(|listed| *listed == name)?);
        leaf_of(*class, &Attributes(value_of), self)?.ok()
    }

    fn call_ints(&mut self, callable: &Atom, ints: &[i64]) -> Option<Atom> {
        let Atom::Size = callable else { return None };
        if ints.len() > Shape::MAX_DIMS || ints.iter().any(|extent| *extent < 0) {
            return None;
        }
        self.extents.keep(ints.iter().map(|extent| extent.unsigned_abs())).map(Atom::Extents)
    }

    fn leaf(&self, object: &Object<'a>) -> Option<Atom> {
        match object {
            Object::Leaf(atom) => Some(*atom),
            _ => None,
        }
    }
}
