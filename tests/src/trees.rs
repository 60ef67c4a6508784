//! Walking over state trees.

use std::sync::Arc;

use dcp_types::{Dict, LoadedLeaf, Tree, Value};

use crate::{Leaf, TensorCase};

/// The tensors of a tree, in order.
#[must_use]
pub fn tensors_of(tree: &Dict<Leaf>) -> Vec<&TensorCase> {
    let mut tensors = Vec::new();
    for (_, node) in tree.iter() {
        collect(node, &mut tensors);
    }
    tensors
}

fn collect<'a>(node: &'a Tree<Leaf>, tensors: &mut Vec<&'a TensorCase>) {
    match node {
        Tree::Dict(dict) => dict.iter().for_each(|(_, node)| collect(node, tensors)),
        Tree::List(items) | Tree::Tuple(items) => items.iter().for_each(|node| collect(node, tensors)),
        Tree::Leaf(Leaf::Tensor(tensor)) => tensors.push(tensor),
        Tree::Leaf(Leaf::Value(_)) => {}
    }
}

/// A tree of the same form. Leaves for which there is nothing are left out, and so are dicts that have no others.
pub fn map_tree<L>(tree: &Dict<Leaf>, leaf: &mut dyn FnMut(&Leaf) -> Option<L>) -> Dict<L> {
    tree.iter().filter_map(|(key, node)| Some((key.clone(), map_node(node, leaf)?))).collect()
}

fn map_node<L>(node: &Tree<Leaf>, leaf: &mut dyn FnMut(&Leaf) -> Option<L>) -> Option<Tree<L>> {
    Some(match node {
        Tree::Leaf(found) => Tree::Leaf(leaf(found)?),
        Tree::List(items) => Tree::List(items.iter().filter_map(|item| map_node(item, leaf)).collect()),
        Tree::Tuple(items) => Tree::Tuple(items.iter().filter_map(|item| map_node(item, leaf)).collect()),
        Tree::Dict(dict) => {
            let mapped = map_tree(dict, leaf);
            if mapped.is_empty() && !dict.is_empty() {
                return None;
            }
            Tree::Dict(mapped)
        }
    })
}

/// The same tree, but what is in a list (or everything, if told) is left out by nobody: the numbers of the items that
/// follow would change.
#[must_use]
pub fn without_gaps(tree: Dict<Leaf>, everything: bool) -> Dict<Leaf> {
    tree.into_iter().map(|(key, node)| (key, filled_up(node, everything))).collect()
}

fn filled_up(node: Tree<Leaf>, fill: bool) -> Tree<Leaf> {
    match node {
        Tree::Dict(dict) => Tree::Dict(without_gaps(dict, fill)),
        Tree::List(items) => Tree::List(items.into_iter().map(|item| filled_up(item, true)).collect()),
        Tree::Tuple(items) => Tree::Tuple(items.into_iter().map(|item| filled_up(item, true)).collect()),
        Tree::Leaf(Leaf::Tensor(mut tensor)) if fill => {
            let sides = Arc::make_mut(&mut tensor);
            sides.saved.iter_mut().chain(&mut sides.loaded).for_each(|part| part.omit = false);
            Tree::Leaf(Leaf::Tensor(tensor))
        }
        leaf @ Tree::Leaf(_) => leaf,
    }
}

/// The tree with every list and tuple of values, and every empty dict, made one value: as it comes back.
#[must_use]
pub fn fold(tree: Dict<LoadedLeaf>) -> Dict<LoadedLeaf> {
    tree.into_iter().map(|(key, node)| (key, fold_node(node))).collect()
}

fn fold_node(node: Tree<LoadedLeaf>) -> Tree<LoadedLeaf> {
    match node {
        Tree::Dict(dict) if dict.is_empty() => Tree::Leaf(LoadedLeaf::Value(Value::Dict(Vec::new()))),
        Tree::Dict(dict) => Tree::Dict(fold(dict)),
        Tree::List(items) => match items.iter().map(value_of).collect() {
            Some(values) => Tree::Leaf(LoadedLeaf::Value(Value::List(values))),
            None => Tree::List(items.into_iter().map(fold_node).collect()),
        },
        Tree::Tuple(items) => match items.iter().map(value_of).collect() {
            Some(values) => Tree::Leaf(LoadedLeaf::Value(Value::Tuple(values))),
            None => Tree::Tuple(items.into_iter().map(fold_node).collect()),
        },
        leaf @ Tree::Leaf(_) => leaf,
    }
}

/// The value that a node without tensors and dicts is.
fn value_of(node: &Tree<LoadedLeaf>) -> Option<Value> {
    match node {
        Tree::Leaf(LoadedLeaf::Value(value)) => Some(value.clone()),
        Tree::List(items) => Some(Value::List(items.iter().map(value_of).collect::<Option<_>>()?)),
        Tree::Tuple(items) => Some(Value::Tuple(items.iter().map(value_of).collect::<Option<_>>()?)),
        Tree::Leaf(_) | Tree::Dict(_) => None,
    }
}

/// Compares trees: keys, their order, every bit of values (a NaN is not equal to itself), every byte of tensors.
///
/// # Panics
/// If they differ.
pub fn assert_same_tree(found: &Dict<LoadedLeaf>, expected: &Dict<LoadedLeaf>) {
    assert_eq!(list(found), list(expected));
}

fn list(tree: &Dict<LoadedLeaf>) -> Vec<(String, LoadedLeaf)> {
    let mut leaves = Vec::new();
    list_dict(tree, "", &mut leaves);
    leaves
}

fn list_dict(dict: &Dict<LoadedLeaf>, above: &str, leaves: &mut Vec<(String, LoadedLeaf)>) {
    for (key, node) in dict.iter() {
        list_node(node, format!("{above}[{key:?}]"), leaves);
    }
}

fn list_node(node: &Tree<LoadedLeaf>, at: String, leaves: &mut Vec<(String, LoadedLeaf)>) {
    match node {
        Tree::Dict(dict) => list_dict(dict, &at, leaves),
        Tree::List(items) => {
            items.iter().enumerate().for_each(|(number, item)| list_node(item, format!("{at}[{number}]"), leaves));
        }
        Tree::Tuple(items) => {
            items.iter().enumerate().for_each(|(number, item)| list_node(item, format!("{at}({number})"), leaves));
        }
        Tree::Leaf(LoadedLeaf::Value(value)) => {
            let encoded = value.encode().expect("nests no deeper than what was saved");
            leaves.push((format!("{at}: value"), LoadedLeaf::Value(Value::Bytes(encoded))));
        }
        Tree::Leaf(leaf) => leaves.push((at, leaf.clone())),
    }
}
