//! What the pickles of `torch.save` leave outside of themselves (`torch/serialization.py`, `persistent_id`).

use crate::pickle::{Node, Vocabulary};

/// A persistent id.
pub(super) enum PersistentId<'n, 'a, V: Vocabulary<'a>> {
    Storage(StorageId<'n, 'a, V>),
    /// A class of modules, which files from before PyTorch 1.6 keep with its source. It means the class.
    Class(&'n Node<'a, V>),
}

/// `("storage", class, key, location, numel)`, and in older files a view, if it is one.
pub(super) struct StorageId<'n, 'a, V: Vocabulary<'a>> {
    pub(super) class: &'n Node<'a, V>,
    pub(super) key: &'a str,
    /// The device it was on.
    pub(super) location: &'a str,
    /// In elements of the class.
    pub(super) numel: i64,
    /// Whether it is a part of another storage.
    pub(super) is_view: bool,
}

impl<'n, 'a, V: Vocabulary<'a>> PersistentId<'n, 'a, V> {
    /// What an id says; `None` if `torch.save` does not write such ids.
    pub(super) fn of(id: &'n Node<'a, V>) -> Option<Self> {
        let Node::Tuple(id) = id else { return None };
        match &id.items()[..] {
            [
                Node::Str("storage"),
                class @ Node::Atom(_),
                Node::Str(key),
                Node::Str(location),
                Node::Int(numel),
                view @ ..,
            ] => {
                let is_view = match view {
                    [] | [Node::None] => false,
                    [_] => true,
                    _ => return None,
                };
                Some(Self::Storage(StorageId { class, key, location, numel: *numel, is_view }))
            }
            [Node::Str("module"), class @ Node::Atom(_), _, _] => Some(Self::Class(class)),
            _ => None,
        }
    }
}
