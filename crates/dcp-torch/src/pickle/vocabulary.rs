//! What the globals of a pickle mean.

use std::fmt::Debug;

use super::{Fault, Node, Nodes};

/// The globals that a pickle may name, and what comes of them.
///
/// # Contract
/// Nothing is looked up or run: an implementation builds data. A call takes time in the order of what it takes over, not of what
/// that would be with everything shared in it written out; what it makes beyond nodes that it was given, it must bound itself (the same argument may be passed
/// a million times from the memo). What it is given may be kept; nodes are cheap to clone and share their content.
///
/// A fault ends the reading. What should not end it must become an atom or object that says so.
pub(crate) trait Vocabulary<'a>: Sized {
    /// A leaf of this vocabulary: a global, or a small value made by calling one. Never changes, holds no nodes. Up to 24 bytes cost nothing more in a node.
    type Atom: Clone + Debug;
    /// An object that may be filled after it was made. Everyone who fetches it from the memo sees the same one.
    type Object: Debug;

    /// The protocol of what comes next; names of globals are those of that protocol.
    fn protocol(&mut self, version: u8) {
        let _ = version;
    }

    /// The global `module.name`.
    fn global(&mut self, module: &'a str, name: &'a str) -> Result<Self::Atom, Box<Fault>>;

    /// `callable(*args)`.
    fn call(&mut self, callable: &Node<'a, Self>, args: Nodes<'a, Self>) -> Result<Node<'a, Self>, Box<Fault>>;

    /// `class.__new__(class, *args, **kwargs)`; `kwargs` is a dict.
    fn make(
        &mut self,
        class: &Node<'a, Self>,
        args: Nodes<'a, Self>,
        kwargs: Option<Node<'a, Self>>,
    ) -> Result<Node<'a, Self>, Box<Fault>>;

    /// `object.__setstate__(state)`.
    fn set_state(&mut self, object: &mut Self::Object, state: &Node<'a, Self>) -> Result<(), Box<Fault>>;

    /// The leaf that an object is as well, once its state is set. Asked only if nobody else sees the object, to keep the leaf in its place.
    fn leaf(&self, object: &Self::Object) -> Option<Self::Atom> {
        let _ = object;
        None
    }

    /// Whether there are records: objects that are leaves, of a state of leaves.
    fn has_records(&self) -> bool {
        false
    }

    /// The leaf that an object of a class is with a state of these names and values: what [`make`](Self::make),
    /// [`set_state`](Self::set_state) and [`leaf`](Self::leaf) come to. `None` if it is no leaf or anything is wrong: then they are asked.
    fn record(&mut self, class: &Self::Atom, names: &[&'a str], values: &[Node<'a, Self>]) -> Option<Self::Atom> {
        let _ = (class, names, values);
        None
    }

    /// What [`call`](Self::call) makes of one tuple of ints, if that is a leaf and sound. May be called again for the same.
    fn call_ints(&mut self, callable: &Self::Atom, ints: &[i64]) -> Option<Self::Atom> {
        let _ = (callable, ints);
        None
    }

    /// `object.append(item)` for each item: a subclass of list.
    fn append(&mut self, object: &mut Self::Object, items: Vec<Node<'a, Self>>) -> Result<(), Box<Fault>> {
        let _ = (object, items);
        Err(Fault::malformed("items for an object that takes none", "a list"))
    }

    /// `object[key] = value` for each pair: a subclass of dict.
    fn set_items(&mut self, object: &mut Self::Object, pairs: Vec<Pair<'a, Self>>) -> Result<(), Box<Fault>> {
        let _ = (object, pairs);
        Err(Fault::malformed("keys for an object that takes none", "a dict"))
    }

    /// Something was made and is not used: it was made for what that does to something else.
    fn discard(&mut self, node: Node<'a, Self>) -> Result<(), Box<Fault>> {
        drop(node);
        Ok(())
    }

    /// What a persistent id stands for.
    fn persistent(&mut self, id: Node<'a, Self>) -> Result<Node<'a, Self>, Box<Fault>> {
        let _ = id;
        Err(Fault::unsupported("a persistent id"))
    }
}

/// A key and its value.
pub(crate) type Pair<'a, V> = (Node<'a, V>, Node<'a, V>);
