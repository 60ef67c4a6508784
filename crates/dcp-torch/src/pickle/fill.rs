//! Filling the topmost container.

use super::machine::{Machine, top};
use super::node::{Measure, Shared};
use super::vocabulary::Pair;
use super::{Fault, Node, Vocabulary};

impl<'a, V: Vocabulary<'a>> Machine<'_, 'a, V> {
    pub(super) fn append(&mut self, items: Vec<Node<'a, V>>) -> Result<(), Box<Fault>> {
        let added = Measure::around(&items);
        match top(&self.stack, &self.marks)? {
            Node::List(list) => {
                self.grow(list, added)?;
                list.change(|list| list.extend(items)).ok_or_else(closed)
            }
            Node::Object(object) => {
                self.grow(object, added)?;
                object.change(|object| self.vocabulary.append(object, items)).ok_or_else(closed)?
            }
            other => Err(Fault::malformed(other.kind(), "a list")),
        }
    }

    pub(super) fn set_items(&mut self, pairs: Vec<Pair<'a, V>>) -> Result<(), Box<Fault>> {
        let added = Measure::around(pairs.iter().flat_map(|(key, value)| [key, value]));
        match top(&self.stack, &self.marks)? {
            Node::Dict(dict) => {
                self.grow(dict, added)?;
                dict.change(|dict| dict.extend(pairs)).ok_or_else(closed)
            }
            Node::Object(object) => {
                self.grow(object, added)?;
                object.change(|object| self.vocabulary.set_items(object, pairs)).ok_or_else(closed)?
            }
            other => Err(Fault::malformed(other.kind(), "a dict")),
        }
    }

    /// Puts the nodes above the last mark into what is below it.
    pub(super) fn set_marked(&mut self) -> Result<(), Box<Fault>> {
        let mark = self.pop_mark()?;
        let Node::Dict(dict) = top(&self.stack[..mark], &self.marks)? else {
            let pairs = pairs(self.stack.drain(mark..))?;
            return self.set_items(pairs);
        };
        let dict = dict.clone();
        self.grow(&dict, Measure::around(&self.stack[mark..]))?;
        let nodes = self.stack.drain(mark..);
        dict.change(|dict| extend(dict, nodes)).ok_or_else(closed)?
    }

    pub(super) fn add_items(&mut self, items: Vec<Node<'a, V>>) -> Result<(), Box<Fault>> {
        check_hashable(items.iter())?;
        let added = Measure::around(&items);
        match top(&self.stack, &self.marks)? {
            Node::Set(set) => {
                self.grow(set, added)?;
                set.change(|set| set.extend(items)).ok_or_else(closed)
            }
            other => Err(Fault::malformed(other.kind(), "a set")),
        }
    }

    pub(super) fn build(&mut self) -> Result<(), Box<Fault>> {
        let mut state = self.pop()?;
        let added = Measure::around([&state]);
        let leaf = match top(&self.stack, &self.marks)? {
            Node::Object(object) => {
                self.grow(object, added)?;
                object.change(|object| self.vocabulary.set_state(object, &state)).ok_or_else(closed)??;
                object.is_unique().then(|| self.vocabulary.leaf(&object.borrow())).flatten()
            }
            other => return Err(Fault::malformed(other.kind(), "an object that takes a state")),
        };
        if let (Some(leaf), Some(top)) = (leaf, self.stack.last_mut()) {
            *top = Node::Atom(leaf);
        }
        if state.renew() {
            self.spare = Some(state);
        }
        Ok(())
    }

    /// Counts in what is put into a container.
    #[inline]
    fn grow<T>(&self, container: &Shared<T>, added: Measure) -> Result<(), Box<Fault>> {
        let Measure { weight, depth } = container.measure();
        let grown = Measure { weight: weight.saturating_add(added.weight), depth: depth.max(added.depth) };
        container.set_measure(grown);
        self.check(grown)
    }
}

#[cold]
fn closed() -> Box<Fault> {
    Fault::unsupported("an object that holds itself, or changes after it was put into another one,")
}

pub(super) fn check_hashable<'i, 'a: 'i, V: Vocabulary<'a> + 'i>(
    mut nodes: impl Iterator<Item = &'i Node<'a, V>>,
) -> Result<(), Box<Fault>> {
    match nodes.find(|node| !node.is_hashable()) {
        Some(node) => Err(Fault::malformed(node.kind(), "something hashable")),
        None => Ok(()),
    }
}

/// Every second node is a key.
#[inline]
pub(super) fn pairs<'a, V: Vocabulary<'a>>(
    nodes: impl ExactSizeIterator<Item = Node<'a, V>>,
) -> Result<Vec<Pair<'a, V>>, Box<Fault>> {
    let mut pairs = Vec::new();
    extend(&mut pairs, nodes)?;
    Ok(pairs)
}

#[inline]
fn extend<'a, V: Vocabulary<'a>>(
    pairs: &mut Vec<Pair<'a, V>>,
    mut nodes: impl ExactSizeIterator<Item = Node<'a, V>>,
) -> Result<(), Box<Fault>> {
    // Most dicts are filled once.
    if pairs.is_empty() {
        pairs.reserve_exact(nodes.len() / 2);
    }
    while let Some(key) = nodes.next() {
        let value = nodes.next().ok_or_else(|| Fault::malformed("a key alone", "a key and its value"))?;
        if !key.is_hashable() {
            return Err(Fault::malformed(key.kind(), "something hashable"));
        }
        pairs.push((key, value));
    }
    Ok(())
}
