//! What a pickle builds.

use std::cell::{Cell, Ref, RefCell};
use std::fmt;
use std::rc::Rc;

use super::Vocabulary;
use super::vocabulary::Pair;

/// Nodes that never change: a tuple's items, the arguments of a call.
pub(crate) type Nodes<'a, V> = Rc<[Node<'a, V>]>;

/// A value. Cheap to clone; clones share their content, as references in Python do.
// A tag of a whole word: nodes are moved all the time, and so they move in whole words.
#[repr(u64)]
pub(crate) enum Node<'a, V: Vocabulary<'a>> {
    /// Python's `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer beyond 64 bits: two's complement, little-endian.
    BigInt(&'a [u8]),
    /// A float.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A bytearray.
    ByteArray(&'a [u8]),
    /// A tuple.
    Tuple(Fixed<'a, V>),
    /// A frozenset. An item may be there twice.
    FrozenSet(Rc<Fixed<'a, V>>),
    /// A list.
    List(Shared<Vec<Node<'a, V>>>),
    /// A set. An item may be there twice.
    Set(Shared<Vec<Node<'a, V>>>),
    /// A dict, in its order. A key may be there twice: the last one counts in Python.
    Dict(Shared<Vec<Pair<'a, V>>>),
    /// A leaf of the vocabulary.
    Atom(V::Atom),
    /// An object of the vocabulary.
    Object(Shared<V::Object>),
}

/// The items of a tuple or frozenset, and what is known of them. Flat, so that a node takes 32 bytes.
pub(crate) struct Fixed<'a, V: Vocabulary<'a>> {
    items: Nodes<'a, V>,
    weight: u32,
    depth: u8,
    hashable: bool,
}

/// A container that all who hold it see change, until it is closed.
pub(crate) struct Shared<T>(Rc<Inner<T>>);

struct Inner<T> {
    weight: Cell<u32>,
    depth: Cell<u8>,
    closed: Cell<bool>,
    content: RefCell<T>,
}

/// How large a node is: both saturate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    /// How many nodes it would be, were everything shared in it written out.
    pub(super) weight: u32,
    /// How deeply it nests.
    pub(super) depth: u8,
}

impl Measure {
    pub(super) const LEAF: Self = Self { weight: 1, depth: 0 };

    /// Takes something in beside what is already inside.
    #[inline]
    pub(super) fn join(self, inner: Self) -> Self {
        Self { weight: self.weight.saturating_add(inner.weight), depth: self.depth.max(inner.depth.saturating_add(1)) }
    }

    /// Of a container of these items, which are closed by this.
    #[inline]
    pub(super) fn around<'i, 'a: 'i, V: Vocabulary<'a> + 'i>(items: impl IntoIterator<Item = &'i Node<'a, V>>) -> Self {
        items.into_iter().fold(Self::LEAF, |measure, item| {
            item.close();
            measure.join(item.measure())
        })
    }
}

impl<'a, V: Vocabulary<'a>> Node<'a, V> {
    /// A tuple.
    #[inline]
    pub(crate) fn tuple(items: Nodes<'a, V>) -> Self {
        Self::Tuple(Fixed::new(items))
    }

    /// A frozenset.
    pub(crate) fn frozen_set(items: Nodes<'a, V>) -> Self {
        Self::FrozenSet(Rc::new(Fixed::new(items)))
    }

    /// A list.
    pub(crate) fn list(items: Vec<Self>) -> Self {
        let measure = Measure::around(&items);
        Self::List(Shared::new(items, measure))
    }

    /// A set of items that must be hashable.
    pub(crate) fn set(items: Vec<Self>) -> Self {
        let measure = Measure::around(&items);
        Self::Set(Shared::new(items, measure))
    }

    /// A dict, of keys that must be hashable.
    #[inline]
    pub(crate) fn dict(pairs: Vec<Pair<'a, V>>) -> Self {
        let measure = Measure::around(pairs.iter().flat_map(|(key, value)| [key, value]));
        Self::Dict(Shared::new(pairs, measure))
    }

    /// An object of the vocabulary. The machine counts in what it was made of.
    pub(crate) fn object(object: V::Object) -> Self {
        Self::Object(Shared::new(object, Measure::LEAF))
    }

    /// Whether this may be a key of a dict.
    #[inline]
    pub(crate) fn is_hashable(&self) -> bool {
        match self {
            Self::List(_) | Self::Set(_) | Self::Dict(_) | Self::ByteArray(_) => false,
            Self::Tuple(fixed) => fixed.hashable,
            _ => true,
        }
    }

    /// Where its content lies, if it has any that is told apart from equal content, or is worth to be there only once: nodes of one
    /// address are one object.
    pub(crate) fn address(&self) -> Option<usize> {
        let address = match self {
            Self::Str(text) if !text.is_empty() => text.as_ptr().addr(),
            Self::Bytes(bytes) | Self::ByteArray(bytes) if !bytes.is_empty() => bytes.as_ptr().addr(),
            Self::Tuple(fixed) if !fixed.items.is_empty() => fixed.items.as_ptr().addr(),
            Self::FrozenSet(fixed) => Rc::as_ptr(fixed).addr(),
            Self::List(items) | Self::Set(items) => items.address(),
            Self::Dict(pairs) => pairs.address(),
            Self::Object(object) => object.address(),
            _ => return None,
        };
        Some(address)
    }

    /// What this is, in Python's words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::BigInt(_) => "an int of more than 64 bits",
            Self::Float(_) => "a float",
            Self::Str(_) => "a str",
            Self::Bytes(_) => "bytes",
            Self::ByteArray(_) => "a bytearray",
            Self::Tuple(_) => "a tuple",
            Self::FrozenSet(_) => "a frozenset",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Dict(_) => "a dict",
            Self::Atom(_) => "a global",
            Self::Object(_) => "an object",
        }
    }

    #[inline]
    pub(super) fn measure(&self) -> Measure {
        match self {
            Self::Tuple(fixed) => fixed.measure(),
            Self::FrozenSet(fixed) => fixed.measure(),
            Self::List(items) | Self::Set(items) => items.measure(),
            Self::Dict(pairs) => pairs.measure(),
            Self::Object(object) => object.measure(),
            _ => Measure::LEAF,
        }
    }

    /// Makes a small dict that nobody else holds empty and open again; says whether it is one.
    pub(super) fn renew(&mut self) -> bool {
        const SMALL: usize = 16;
        let Self::Dict(Shared(dict)) = self else { return false };
        let Some(Inner { weight, depth, closed, content }) = Rc::get_mut(dict) else { return false };
        let pairs = content.get_mut();
        if pairs.capacity() > SMALL {
            return false;
        }
        pairs.clear();
        (*weight.get_mut(), *depth.get_mut(), *closed.get_mut()) = (Measure::LEAF.weight, Measure::LEAF.depth, false);
        true
    }

    /// From here on it is part of something and cannot change.
    #[inline]
    fn close(&self) {
        match self {
            Self::List(items) | Self::Set(items) => items.0.closed.set(true),
            Self::Dict(pairs) => pairs.0.closed.set(true),
            Self::Object(object) => object.0.closed.set(true),
            _ => {}
        }
    }
}

impl<'a, V: Vocabulary<'a>> Fixed<'a, V> {
    fn new(items: Nodes<'a, V>) -> Self {
        let Measure { weight, depth } = Measure::around(items.iter());
        let hashable = items.iter().all(Node::is_hashable);
        Self { items, weight, depth, hashable }
    }

    /// The items.
    pub(crate) fn items(&self) -> &Nodes<'a, V> {
        &self.items
    }

    fn measure(&self) -> Measure {
        Measure { weight: self.weight, depth: self.depth }
    }
}

impl<T> Shared<T> {
    fn new(content: T, Measure { weight, depth }: Measure) -> Self {
        let (weight, depth, closed) = (Cell::new(weight), Cell::new(depth), Cell::new(false));
        Self(Rc::new(Inner { weight, depth, closed, content: RefCell::new(content) }))
    }

    /// The content. Must not be held while the machine runs.
    pub(crate) fn borrow(&self) -> Ref<'_, T> {
        self.0.content.borrow()
    }

    fn address(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }

    /// Changes the content, unless it is closed.
    #[inline]
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.is_closed() {
            return None;
        }
        self.0.content.try_borrow_mut().ok().map(|mut content| change(&mut content))
    }

    /// Whether nobody else sees it.
    pub(crate) fn is_unique(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.get()
    }

    pub(super) fn measure(&self) -> Measure {
        Measure { weight: self.0.weight.get(), depth: self.0.depth.get() }
    }

    pub(super) fn set_measure(&self, Measure { weight, depth }: Measure) {
        self.0.weight.set(weight);
        self.0.depth.set(depth);
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<'a, V: Vocabulary<'a>> Clone for Fixed<'a, V> {
    fn clone(&self) -> Self {
        Self { items: Rc::clone(&self.items), ..*self }
    }
}

impl<'a, V: Vocabulary<'a>> Clone for Node<'a, V> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Bool(value) => Self::Bool(*value),
            Self::Int(value) => Self::Int(*value),
            Self::BigInt(digits) => Self::BigInt(digits),
            Self::Float(value) => Self::Float(*value),
            Self::Str(text) => Self::Str(text),
            Self::Bytes(bytes) => Self::Bytes(bytes),
            Self::ByteArray(bytes) => Self::ByteArray(bytes),
            Self::Tuple(items) => Self::Tuple(items.clone()),
            Self::FrozenSet(items) => Self::FrozenSet(Rc::clone(items)),
            Self::List(items) => Self::List(items.clone()),
            Self::Set(items) => Self::Set(items.clone()),
            Self::Dict(pairs) => Self::Dict(pairs.clone()),
            Self::Atom(atom) => Self::Atom(atom.clone()),
            Self::Object(object) => Self::Object(object.clone()),
        }
    }
}

/// Written as Python writes it, as far as that goes.
impl<'a, V: Vocabulary<'a>> fmt::Debug for Node<'a, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(value) => f.write_str(if *value { "True" } else { "False" }),
            Self::Int(value) => value.fmt(f),
            Self::BigInt(digits) => write!(f, "int({} bytes)", digits.len()),
            Self::Float(value) => value.fmt(f),
            Self::Str(text) => text.fmt(f),
            Self::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            Self::ByteArray(bytes) => write!(f, "bytearray(b\"{}\")", bytes.escape_ascii()),
            Self::Tuple(fixed) => {
                f.write_str("tuple").and_then(|()| f.debug_list().entries(fixed.items.iter()).finish())
            }
            Self::FrozenSet(fixed) => {
                f.write_str("frozenset").and_then(|()| f.debug_set().entries(fixed.items.iter()).finish())
            }
            Self::List(items) => f.debug_list().entries(items.borrow().iter()).finish(),
            Self::Set(items) => f.write_str("set").and_then(|()| f.debug_set().entries(items.borrow().iter()).finish()),
            Self::Dict(pairs) => f.debug_map().entries(pairs.borrow().iter().map(|(key, value)| (key, value))).finish(),
            Self::Atom(atom) => atom.fmt(f),
            Self::Object(object) => object.borrow().fmt(f),
        }
    }
}
