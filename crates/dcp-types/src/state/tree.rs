//! Ordered trees of dicts, lists and tuples.

use indexmap::IndexMap;
use indexmap::map::Entry;

use crate::{DictKey, Fqn, Segment, StatePath, TypesError};

/// A node of a state tree with leaves of type `L`.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree<L> {
    /// Named children, in order.
    Dict(Dict<L>),
    /// Numbered children.
    List(Vec<Tree<L>>),
    /// Numbered children of a Python tuple.
    Tuple(Vec<Tree<L>>),
    /// What the tree is for.
    Leaf(L),
}

/// An ordered dict of state: the root of every state tree. The order is kept, but as in Python it makes no difference to `==`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dict<L>(IndexMap<DictKey, Tree<L>>);

impl<L> Dict<L> {
    /// An empty dict.
    #[must_use]
    pub fn new() -> Self {
        Self(IndexMap::new())
    }

    /// The same dict with one more entry, for chaining. An entry of the same key is replaced.
    #[must_use]
    pub fn with(mut self, key: impl Into<DictKey>, node: impl Into<Tree<L>>) -> Self {
        self.insert(key, node);
        self
    }

    /// Adds an entry, or replaces the one of the same key.
    pub fn insert(&mut self, key: impl Into<DictKey>, node: impl Into<Tree<L>>) {
        self.0.insert(key.into(), node.into());
    }

    /// The entry of a key.
    #[must_use]
    pub fn get(&self, key: impl Into<DictKey>) -> Option<&Tree<L>> {
        self.0.get(&key.into())
    }

    /// Takes the entry of a key out.
    pub fn take(&mut self, key: impl Into<DictKey>) -> Option<Tree<L>> {
        self.0.shift_remove(&key.into())
    }

    /// The dict under a key, taken out; an empty one if there is none.
    #[must_use]
    pub fn take_dict(&mut self, key: impl Into<DictKey>) -> Self {
        match self.take(key) {
            Some(Tree::Dict(dict)) => dict,
            _ => Self::new(),
        }
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&DictKey, &Tree<L>)> {
        self.0.iter()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<L> Default for Dict<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> IntoIterator for Dict<L> {
    type Item = (DictKey, Tree<L>);
    type IntoIter = indexmap::map::IntoIter<DictKey, Tree<L>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<L, K: Into<DictKey>, N: Into<Tree<L>>> FromIterator<(K, N)> for Dict<L> {
    fn from_iter<I: IntoIterator<Item = (K, N)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(key, node)| (key.into(), node.into())).collect())
    }
}

impl<L> From<Dict<L>> for Tree<L> {
    fn from(dict: Dict<L>) -> Self {
        Self::Dict(dict)
    }
}

impl<L, N: Into<Tree<L>>> From<Vec<N>> for Tree<L> {
    fn from(items: Vec<N>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// A flattened tree: leaves by name, in order, each with the place it came from.
pub type Flat<L> = IndexMap<Fqn, (StatePath, L)>;

/// The deepest nesting that is flattened or rebuilt.
pub const MAX_DEPTH: usize = 128;

/// Flattens a tree. `fold` may turn a container into a leaf; an empty container must become one.
///
/// # Errors
/// [`TypesError::NameCollision`] if two places have one name; [`TypesError::TooDeep`].
pub(super) fn flatten<L>(root: Dict<L>, fold: &dyn Fn(Tree<L>) -> Result<L, Tree<L>>) -> Result<Flat<L>, TypesError> {
    let mut flattening = Flattening { fold, path: Vec::new(), name: String::new(), flat: Flat::new() };
    flattening.children(root.0.into_iter().map(|(key, node)| (Segment::Key(key), node)))?;
    Ok(flattening.flat)
}

/// A walk through a tree.
struct Flattening<'f, L> {
    fold: &'f dyn Fn(Tree<L>) -> Result<L, Tree<L>>,
    /// Where the walk is.
    path: Vec<Segment>,
    /// The flat name of that.
    name: String,
    flat: Flat<L>,
}

impl<L> Flattening<'_, L> {
    fn children(&mut self, children: impl ExactSizeIterator<Item = (Segment, Tree<L>)>) -> Result<(), TypesError> {
        self.flat.reserve(children.len());
        let parent = self.name.len();
        for (segment, child) in children {
            segment.append_to(&mut self.name, self.path.is_empty());
            self.path.push(segment);
            self.node(child)?;
            self.path.pop();
            self.name.truncate(parent);
        }
        Ok(())
    }

    fn node(&mut self, node: Tree<L>) -> Result<(), TypesError> {
        if self.path.len() > MAX_DEPTH {
            return Err(TypesError::TooDeep(MAX_DEPTH));
        }
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        match (self.fold)(node) {
            Err(Tree::Dict(dict)) => self.children(dict.0.into_iter().map(|(key, child)| (Segment::Key(key), child))),
            Err(Tree::List(items)) => {
                self.children(items.into_iter().enumerate().map(|(i, child)| (Segment::Item(number(i)), child)))
            }
            Err(Tree::Tuple(items)) => {
                self.children(items.into_iter().enumerate().map(|(i, child)| (Segment::TupleItem(number(i)), child)))
            }
            Ok(leaf) | Err(Tree::Leaf(leaf)) => self.leaf(leaf),
        }
    }

    fn leaf(&mut self, leaf: L) -> Result<(), TypesError> {
        let path = StatePath::of(&self.path);
        match self.flat.entry(self.name.as_str().into()) {
            Entry::Vacant(vacant) => {
                vacant.insert((path, leaf));
                Ok(())
            }
            Entry::Occupied(taken) => {
                let (fqn, first) = (taken.key().clone(), taken.get().0.clone());
                Err(TypesError::NameCollision { fqn, first, second: path })
            }
        }
    }
}

/// Builds the tree that these leaves were flattened from. Items of lists stand in the order of their
/// numbers; numbers that are missing (a partial load) close up.
///
/// # Errors
/// [`TypesError::Tree`] if the paths cannot be of one tree; [`TypesError::TooDeep`].
pub fn unflatten<L>(leaves: impl IntoIterator<Item = (StatePath, L)>) -> Result<Dict<L>, TypesError> {
    let mut root = Growing::Dict(IndexMap::new());
    for (path, leaf) in leaves {
        let segments = path.segments();
        if segments.len() > MAX_DEPTH {
            return Err(TypesError::TooDeep(MAX_DEPTH));
        }
        let fault = |reason| TypesError::Tree { path: path.clone(), reason };
        let mut node = &mut root;
        for segment in segments {
            node = node.child(segment).ok_or_else(|| fault("another path has another kind of node there"))?;
        }
        match node {
            Growing::Nothing if !segments.is_empty() => *node = Growing::Leaf(leaf),
            _ => return Err(fault("the place is taken")),
        }
    }
    match root.grown() {
        Some(Tree::Dict(dict)) => Ok(dict),
        _ => Ok(Dict::new()),
    }
}

enum Growing<L> {
    Nothing,
    Dict(IndexMap<DictKey, Growing<L>>),
    List(std::collections::BTreeMap<u32, Growing<L>>),
    Tuple(std::collections::BTreeMap<u32, Growing<L>>),
    Leaf(L),
}

impl<L> Growing<L> {
    fn child(&mut self, segment: &Segment) -> Option<&mut Self> {
        if matches!(self, Self::Nothing) {
            *self = match segment {
                Segment::Key(_) => Self::Dict(IndexMap::new()),
                Segment::Item(_) => Self::List(Default::default()),
                Segment::TupleItem(_) => Self::Tuple(Default::default()),
            };
        }
        match (self, segment) {
            (Self::Dict(dict), Segment::Key(key)) => Some(dict.entry(key.clone()).or_insert(Self::Nothing)),
            (Self::List(items), Segment::Item(index)) | (Self::Tuple(items), Segment::TupleItem(index)) => {
                Some(items.entry(*index).or_insert(Self::Nothing))
            }
            _ => None,
        }
    }

    fn grown(self) -> Option<Tree<L>> {
        Some(match self {
            Self::Nothing => return None,
            Self::Dict(dict) => {
                Tree::Dict(Dict(dict.into_iter().filter_map(|(key, node)| Some((key, node.grown()?))).collect()))
            }
            Self::List(items) => Tree::List(items.into_values().filter_map(Self::grown).collect()),
            Self::Tuple(items) => Tree::Tuple(items.into_values().filter_map(Self::grown).collect()),
            Self::Leaf(leaf) => Tree::Leaf(leaf),
        })
    }
}
