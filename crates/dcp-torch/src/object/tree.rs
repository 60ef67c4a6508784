//! A saved state: the leaves of the tree in an archive, flattened as PyTorch does (`_nested_dict.py`, `_traverse.py`): dicts fall
//! into their items, and so do lists that hold a tensor or a dict; everything else is a leaf. Unlike there, integer keys stay
//! integers, and empty dicts stay.

use dcp_types::{DictKey, Segment, StatePath, Value};

use super::read::{ObjectFault, read};
use super::tensor::TensorRef;
use super::value::{Converter, NoValue};
use super::vocabulary::{Object, ObjectNode};
use crate::archive::{Archive, Known, Lack};
use crate::pickle::{Node, Pair};

/// The leaves of a state.
#[derive(Debug)]
pub(crate) struct SavedTree {
    pub(crate) leaves: Vec<Leaf>,
}

/// A leaf, and its place.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) path: StatePath,
    pub(crate) content: LeafContent,
}

#[derive(Debug)]
pub(crate) enum LeafContent {
    Tensor(TensorRef),
    Value(Value),
    /// It can be expressed only in Python.
    Foreign,
}

impl SavedTree {
    /// Reads the tree, and what its values need of the storages.
    pub(crate) fn read(archive: &Archive, known: &Known) -> Result<Self, Lack> {
        let (pickle, start) = archive.pickle(known)?;
        let outcome = read(&pickle, |root, _| {
            let mut walk = Walk { converter: Converter::new(archive, known, pickle.len()), leaves: Vec::new() };
            Ok(walk.node(root, &mut Vec::new()).map(|()| Self { leaves: walk.leaves }))
        });
        match outcome {
            Ok((walked, _)) => walked.map_err(|fault| fault.into_lack(start)),
            Err(fault) => Err(fault.at(start)),
        }
    }
}

/// What ends the reading.
enum Stop {
    Lack(Lack),
    Fault(String),
}

impl Stop {
    fn into_lack(self, start: u64) -> Lack {
        match self {
            Self::Lack(lack) => lack,
            Self::Fault(reason) => ObjectFault::new(reason).at(start),
        }
    }
}

struct Walk<'s> {
    converter: Converter<'s>,
    leaves: Vec<Leaf>,
}

impl Walk<'_> {
    fn node(&mut self, node: &ObjectNode<'_>, path: &mut Vec<Segment>) -> Result<(), Stop> {
        match node {
            Node::Dict(pairs) if is_branch(&pairs.borrow()) => self.items(&pairs.borrow(), path),
            Node::List(items) if items.borrow().iter().any(holds_state) => {
                for (number, item) in (0..).zip(items.borrow().iter()) {
                    path.push(Segment::Item(number));
                    self.node(item, path)?;
                    path.pop();
                }
                Ok(())
            }
            Node::Object(object) => match &*object.borrow() {
                Object::OrderedDict(pairs) if is_branch(pairs) => self.items(pairs, path),
                Object::Tensor(tensor) | Object::Parameter(tensor) => self.tensor(tensor, path),
                _ => self.value(node, path),
            },
            _ => self.value(node, path),
        }
    }

    fn items(&mut self, pairs: &[Pair<'_, super::vocabulary::Objects>], path: &mut Vec<Segment>) -> Result<(), Stop> {
        for (key, item) in pairs {
            let Some(key) = dict_key(key) else { continue };
            path.push(Segment::Key(key));
            self.node(item, path)?;
            path.pop();
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &TensorRef, path: &[Segment]) -> Result<(), Stop> {
        let found = self.converter.archive.storage_length(&tensor.storage.key).map_err(Stop::Lack)?;
        if found != tensor.storage.length {
            let (key, expected) = (&tensor.storage.key, tensor.storage.length);
            return Err(Stop::Fault(format!("storage {key} should have {expected} bytes, but has {found}")));
        }
        let content = LeafContent::Tensor(tensor.clone());
        self.leaves.push(Leaf { path: StatePath::new(path.to_vec()), content });
        Ok(())
    }

    fn value(&mut self, node: &ObjectNode<'_>, path: &[Segment]) -> Result<(), Stop> {
        let content = match self.converter.convert(node) {
            Ok(value) => LeafContent::Value(value),
            Err(NoValue::Foreign) => LeafContent::Foreign,
            Err(NoValue::Lack(lack)) => return Err(Stop::Lack(lack)),
            Err(NoValue::Fault(reason)) => return Err(Stop::Fault(reason)),
        };
        self.leaves.push(Leaf { path: StatePath::new(path.to_vec()), content });
        Ok(())
    }
}

/// Whether a dict falls into its items.
fn is_branch(pairs: &[Pair<'_, super::vocabulary::Objects>]) -> bool {
    !pairs.is_empty() && pairs.iter().all(|(key, _)| dict_key(key).is_some())
}

fn dict_key(key: &ObjectNode<'_>) -> Option<DictKey> {
    match key {
        Node::Str(text) => Some(DictKey::Str((*text).into())),
        Node::Int(number) => Some(DictKey::Int(*number)),
        _ => None,
    }
}

/// Whether this is a tensor or a dict, or a list that holds one.
fn holds_state(node: &ObjectNode<'_>) -> bool {
    match node {
        Node::Dict(_) => true,
        Node::List(items) => items.borrow().iter().any(holds_state),
        Node::Object(object) => {
            matches!(&*object.borrow(), Object::Tensor(_) | Object::Parameter(_) | Object::OrderedDict(_))
        }
        _ => false,
    }
}
