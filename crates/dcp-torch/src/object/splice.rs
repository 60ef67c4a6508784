//! Pickles again what was read as recipes, as a part of another pickle.

use std::collections::{HashMap, HashSet};

use super::persistent::{PersistentId, StorageId};
use super::recipe::{Made, Recipe, RecipeNode, Recipes, Step};
use super::tensor::wrong_length;
use super::vocabulary::element_size;
use crate::pickle::{Node, Pair, Pickler, Slot, TooLong};

/// CPython writes items in batches of so many.
pub(super) const BATCH: usize = 1000;

/// Text of at most so many bytes is there only once, even if it was there several times. Longer text may be bytes to be decoded, of which a
/// reader takes no more than there is text.
const SHORT: usize = 16;
/// More than the machine lets through, but for calls that are made for what they do to something.
const DEEPEST: usize = 200;

/// Why something that was read cannot be pickled again.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpliceError {
    #[error(transparent)]
    TooLong(#[from] TooLong),
    #[error("a persistent id that torch.save does not write")]
    PersistentId,
    #[error("a storage that is a view of another one")]
    View,
    #[error("more than {DEEPEST} levels of objects")]
    TooDeep,
    #[error("a storage of {0} elements")]
    Numel(i64),
    #[error("storages with big-endian numbers")]
    BigEndian,
    #[error("{0}")]
    Storage(String),
}

/// A storage, as the pickle speaks of it that is read.
pub(super) struct Stored<'a> {
    pub(super) key: &'a str,
    /// In bytes; `None` if the size of its elements is not known.
    pub(super) length: Option<u64>,
}

impl Stored<'_> {
    /// Checks that there are as many bytes as the pickle says.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&self, found: u64) -> Result<(), String> {
        match self.length {
            Some(length) if length != found => Err(wrong_length(self.key, length, found)),
            _ => Ok(()),
        }
    }
}

/// Writes nodes of one pickle into another one. What was one object stays one.
pub(super) struct Splice<'s, 'a> {
    recipes: &'s Recipes<'a>,
    pickler: &'s mut Pickler,
    /// The number of a storage in the archive of the new pickle.
    numbers: &'s mut dyn FnMut(Stored<'a>) -> Result<usize, SpliceError>,
    written: HashMap<usize, Slot>,
    /// By address, what calls were made for.
    affected: HashSet<usize>,
    depth: usize,
}

impl<'s, 'a> Splice<'s, 'a> {
    pub(super) fn new(
        recipes: &'s Recipes<'a>,
        pickler: &'s mut Pickler,
        numbers: &'s mut dyn FnMut(Stored<'a>) -> Result<usize, SpliceError>,
    ) -> Self {
        let (written, affected) = Default::default();
        Self { recipes, pickler, numbers, written, affected, depth: 0 }
    }

    /// Writes a node, unless it is there already.
    pub(super) fn node(&mut self, node: &RecipeNode<'a>) -> Result<(), SpliceError> {
        let address = node.address();
        if let Some(slot) = address.and_then(|address| self.written.get(&address)) {
            self.pickler.fetch(*slot);
            return Ok(());
        }
        if self.depth == DEEPEST {
            return Err(SpliceError::TooDeep);
        }
        self.depth += 1;
        let slot = self.write(node)?;
        if let Some(address) = address {
            self.written.extend(slot.map(|slot| (address, slot)));
            self.effects(address)?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// The calls that are made for what they do to the node of this address, which was just written. They hold it themselves.
    fn effects(&mut self, address: usize) -> Result<(), SpliceError> {
        let calls = self.recipes.effects(address);
        if calls.is_empty() || !self.affected.insert(address) {
            return Ok(());
        }
        for call in calls {
            self.node(call)?;
            self.pickler.pop();
        }
        Ok(())
    }

    /// Returns where the node can be fetched, if it was numbered.
    fn write(&mut self, node: &RecipeNode<'a>) -> Result<Option<Slot>, SpliceError> {
        let before = self.pickler.last();
        match node {
            Node::None => self.pickler.none(),
            Node::Bool(value) => self.pickler.bool(*value),
            Node::Int(value) => self.pickler.int(*value),
            Node::BigInt(digits) => self.pickler.long(digits),
            Node::Float(value) => self.pickler.float(*value),
            Node::Str(text) if text.len() <= SHORT => self.pickler.text(text)?,
            Node::Str(text) => return Ok(Some(self.pickler.text_again(text)?)),
            Node::Bytes(bytes) => self.pickler.bytes(bytes),
            Node::ByteArray(bytes) => self.pickler.byte_array(bytes),
            Node::Atom(named) => {
                if let Some(name) = self.recipes.name(*named) {
                    self.pickler.named(name.module, name.name, name.protocol)?;
                }
            }
            Node::Tuple(items) => self.tuple(items.items())?,
            Node::FrozenSet(items) => {
                self.marked(items.items())?;
                self.pickler.frozen_set();
            }
            Node::List(items) => {
                self.pickler.empty_list();
                let slot = self.pickler.last();
                self.append(&items.borrow())?;
                return Ok(slot);
            }
            Node::Set(items) => {
                self.pickler.empty_set();
                let slot = self.pickler.last();
                for batch in items.borrow().chunks(BATCH) {
                    self.marked(batch)?;
                    self.pickler.add_items();
                }
                return Ok(slot);
            }
            Node::Dict(pairs) => {
                self.pickler.empty_dict();
                let slot = self.pickler.last();
                self.set_items(&pairs.borrow())?;
                return Ok(slot);
            }
            Node::Object(recipe) => {
                let is_shared = !recipe.is_unique();
                let recipe = recipe.borrow();
                let slot = self.make(&recipe.made, is_shared)?;
                self.steps(&recipe)?;
                return Ok(slot);
            }
        }
        // What is equal to something that is there was fetched, and not numbered again.
        Ok(self.pickler.last().filter(|slot| Some(*slot) != before))
    }

    /// Returns where the object can be fetched.
    fn make(&mut self, made: &Made<'a>, is_shared: bool) -> Result<Option<Slot>, SpliceError> {
        match made {
            Made::Call(callable, args) => {
                self.node(callable)?;
                self.tuple(args)?;
                self.pickler.reduce();
            }
            Made::New(class, args) => {
                self.node(class)?;
                self.tuple(args)?;
                self.pickler.new_object_of();
            }
            Made::NewWith(parts) => {
                let (class, args, kwargs) = &**parts;
                self.node(class)?;
                self.tuple(args)?;
                self.node(kwargs)?;
                self.pickler.new_object_with();
            }
            Made::Persistent(id) => return self.persistent(id, is_shared),
        }
        Ok(self.pickler.last())
    }

    fn steps(&mut self, recipe: &Recipe<'a>) -> Result<(), SpliceError> {
        recipe.steps.iter().try_for_each(|step| match step {
            Step::SetState(state) => {
                self.node(state)?;
                self.pickler.build();
                Ok(())
            }
            Step::Append(items) => self.append(items),
            Step::SetItems(pairs) => self.set_items(pairs),
        })
    }

    fn persistent(&mut self, id: &RecipeNode<'a>, is_shared: bool) -> Result<Option<Slot>, SpliceError> {
        let id = match PersistentId::of(id) {
            Some(PersistentId::Storage(id)) => id,
            Some(PersistentId::Class(class)) => return self.node(class).map(|()| None),
            None => return Err(SpliceError::PersistentId),
        };
        if id.is_view {
            return Err(SpliceError::View);
        }
        let stored = self.stored(&id)?;
        let number = (self.numbers)(stored)?;
        self.pickler.mark();
        self.pickler.text("storage")?;
        self.node(id.class)?;
        self.pickler.text(&number.to_string())?;
        self.pickler.text(id.location)?;
        self.pickler.int(id.numel);
        self.pickler.tuple(5);
        self.pickler.persistent();
        // CPython names them again each time.
        Ok(is_shared.then(|| self.pickler.memoise()))
    }

    /// The storage that an id speaks of.
    fn stored(&self, id: &StorageId<'_, 'a, Recipes<'a>>) -> Result<Stored<'a>, SpliceError> {
        let Node::Atom(class) = id.class else { return Err(SpliceError::PersistentId) };
        let element = self.recipes.name(*class).and_then(|class| element_size(class.module, class.name));
        let bytes = |element| u64::try_from(id.numel).ok()?.checked_mul(element);
        match element.map(bytes) {
            Some(None) => Err(SpliceError::Numel(id.numel)),
            length => Ok(Stored { key: id.key, length: length.flatten() }),
        }
    }

    fn tuple(&mut self, items: &[RecipeNode<'a>]) -> Result<(), SpliceError> {
        if items.len() > 3 {
            self.pickler.mark();
        }
        items.iter().try_for_each(|item| self.node(item))?;
        self.pickler.tuple(items.len());
        Ok(())
    }

    fn marked(&mut self, items: &[RecipeNode<'a>]) -> Result<(), SpliceError> {
        self.pickler.mark();
        items.iter().try_for_each(|item| self.node(item))
    }

    fn append(&mut self, items: &[RecipeNode<'a>]) -> Result<(), SpliceError> {
        if let [item] = items {
            self.node(item)?;
            self.pickler.append();
            return Ok(());
        }
        for batch in items.chunks(BATCH) {
            self.marked(batch)?;
            self.pickler.append_all();
        }
        Ok(())
    }

    fn set_items(&mut self, pairs: &[Pair<'a, Recipes<'a>>]) -> Result<(), SpliceError> {
        if let [(key, value)] = pairs {
            self.node(key)?;
            self.node(value)?;
            self.pickler.set_item();
            return Ok(());
        }
        for batch in pairs.chunks(BATCH) {
            self.pickler.mark();
            batch.iter().try_for_each(|(key, value)| self.node(key).and_then(|()| self.node(value)))?;
            self.pickler.set_items();
        }
        Ok(())
    }
}
