//! A saved state: the leaves of the tree in an archive, flattened as PyTorch does (`_nested_dict.py`, `_traverse.py`): dicts fall
//! into their items, and so do lists that hold a tensor or a dict; everything else is a leaf. Unlike there, integer keys stay
//! integers, and empty dicts stay.

use dcp_types::{DictKey, Segment, StatePath, TensorValue, Value};

use super::read::{ObjectFault, read};
use super::tensor::TensorRef;
use super::value::{Converter, NoValue};
use super::vocabulary::{Object, ObjectNode};
use crate::archive::{Archive, Known, Lack, unreadable};
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

/// What has come of reading a tree.
#[derive(Debug)]
pub(crate) enum TreeRead {
    Done(SavedTree),
    /// These offsets and lengths must be read first: tensors inside of values.
    Needs(Vec<(u64, u64)>),
}

/// The most bytes of names, beyond what the pickle justifies: keys that are shared are written out in each leaf's path.
const MAX_NAMES: usize = 32 << 20;
/// The most bytes that are read for tensors inside of values, which are not leaves by themselves.
const MAX_INSIDE: u64 = 1 << 30;

impl SavedTree {
    /// Reads the tree from the archive's pickle, which starts at `start`, and what its values need of the storages.
    pub(crate) fn read(archive: &Archive, known: &Known, pickle: &[u8], start: u64) -> Result<TreeRead, Lack> {
        let outcome = read(pickle, |root, _| {
            let converter = Converter::new(archive, known, pickle.len());
            let mut walk = Walk { converter, leaves: Vec::new(), names: MAX_NAMES + 4 * pickle.len() };
            Ok(walk.root(root).and_then(|()| walk.finish()))
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
    /// How many bytes the paths of leaves may still take.
    names: usize,
}

impl Walk<'_> {
    fn finish(self) -> Result<TreeRead, Stop> {
        let missing = self.converter.missing;
        if missing.is_empty() {
            return Ok(TreeRead::Done(SavedTree { leaves: self.leaves }));
        }
        match missing.iter().map(|(_, length)| length).sum::<u64>() {
            0..=MAX_INSIDE => Ok(TreeRead::Needs(missing)),
            bytes => Err(Stop::Lack(unreadable(0, format!("{bytes} bytes of tensors inside of tuples")))),
        }
    }

    fn leaf(&mut self, path: &[Segment], content: LeafContent) -> Result<(), Stop> {
        let size = |segment: &Segment| match segment {
            Segment::Key(DictKey::Str(key)) => size_of::<Segment>() + key.len(),
            _ => size_of::<Segment>(),
        };
        let bytes = path.iter().map(size).sum::<usize>();
        match self.names.checked_sub(bytes) {
            Some(left) => self.names = left,
            None => return Err(Stop::Lack(unreadable(0, "more names than its size justifies"))),
        }
        self.leaves.push(Leaf { path: StatePath::new(path.to_vec()), content });
        Ok(())
    }

    /// An empty state has no leaves; an empty dict inside of one is a leaf.
    fn root(&mut self, node: &ObjectNode<'_>) -> Result<(), Stop> {
        let is_empty = match node {
            Node::Dict(pairs) => pairs.borrow().is_empty(),
            Node::Object(object) => matches!(&*object.borrow(), Object::OrderedDict(pairs) if pairs.is_empty()),
            _ => false,
        };
        if is_empty { Ok(()) } else { self.node(node, &mut Vec::new()) }
    }

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
        tensor.storage.check(found).map_err(Stop::Fault)?;
        // What shows far more than it stores is no state.
        let content = match tensor.nbytes() > found.max(TensorValue::MAX_EXPANDED) {
            true => LeafContent::Foreign,
            false => LeafContent::Tensor(tensor.clone()),
        };
        self.leaf(path, content)
    }

    fn value(&mut self, node: &ObjectNode<'_>, path: &[Segment]) -> Result<(), Stop> {
        let content = match self.converter.convert(node) {
            Ok(value) => LeafContent::Value(value),
            Err(NoValue::Foreign) => LeafContent::Foreign,
            Err(NoValue::Lack(lack)) => return Err(Stop::Lack(lack)),
            Err(NoValue::Fault(reason)) => return Err(Stop::Fault(reason)),
        };
        self.leaf(path, content)
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::archive::sample::{archive, record};

    fn read_tree(pickle: &[u8]) -> Result<TreeRead, Lack> {
        let bytes = archive(&[record("a/data.pkl", pickle), record("a/version", b"3\n")]);
        let known = Known::whole(Bytes::from(bytes));
        SavedTree::read(&Archive::read(&known)?, &known, pickle, 0)
    }

    /// Dicts in dicts under one key of this length, and in the innermost so many leaves.
    fn nested(key: usize, levels: usize, leaves: u16) -> Vec<u8> {
        let mut pickle = b"\x80\x02}X".to_vec();
        pickle.extend((key as u32).to_le_bytes());
        pickle.resize(pickle.len() + key, b'k');
        pickle.extend(b"q\x00");
        pickle.extend(b"}h\x00".repeat(levels - 1));
        pickle.extend(b"}(");
        (0..leaves).for_each(|leaf| pickle.extend([b'M', leaf as u8, (leaf >> 8) as u8, b'N']));
        pickle.push(b'u');
        pickle.extend(b"s".repeat(levels));
        pickle.push(b'.');
        pickle
    }

    #[test]
    fn names_cost_what_the_pickle_is_worth() {
        match read_tree(&nested(10, 20, 1000)) {
            Ok(TreeRead::Done(tree)) => assert_eq!(tree.leaves.len(), 1000),
            other => panic!("{other:?}"),
        }
        let fault = read_tree(&nested(60_000, 20, 1000)).expect_err("1.2 GB of names").into_fault();
        assert!(fault.reason().contains("names"), "{fault:?}");
    }
}
