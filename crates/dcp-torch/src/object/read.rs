//! Reads the pickle of an archive.

use std::collections::HashMap;

use super::harm::harmful;
use super::tensor::TensorRef;
use super::vocabulary::{Object, ObjectNode, Objects, StorageSize};
use crate::archive::{Lack, malformed, unreadable};
use crate::pickle::{Fault, Node, PickleError, unpickle};

/// Reads a pickle, and gives what it holds with what it names to `take`. Returns that, and the length of the pickle.
pub(super) fn read<'a, T>(
    pickle: &'a [u8],
    take: impl FnOnce(&ObjectNode<'a>, &Objects) -> Result<T, ObjectFault>,
) -> Result<(T, usize), ObjectFault> {
    let mut objects = Objects::new(pickle.len());
    let (root, length) = unpickle(pickle, &mut objects)?;
    Ok((take(&root, &objects)?, length))
}

/// The one tensor that a pickle holds, and the length of the pickle.
pub(crate) fn tensor(pickle: &[u8]) -> Result<(TensorRef, usize), ObjectFault> {
    read(pickle, |root, objects| {
        if let Node::Object(object) = root
            && let Object::Tensor(tensor) | Object::Parameter(tensor) = &*object.borrow()
        {
            return Ok((**tensor).clone());
        }
        let foreign: Vec<&str> = objects.foreign().collect();
        let harm = harmful(foreign.iter().copied());
        let what = if !harm.is_empty() {
            format!("it would run {} when PyTorch unpickles it", harm.join(", "))
        } else if !foreign.is_empty() {
            return Err(ObjectFault { position: 0, reason: foreign.join(", "), is_unreadable: true });
        } else {
            format!("it holds {}", root.kind())
        };
        Err(ObjectFault { position: 0, reason: format!("a tensor is expected, but {what}"), is_unreadable: false })
    })
}

/// The storages that a pickle names, by key, with their sizes; `None` for a class that is not known here. Where a key is there twice,
/// the first time counts, as in PyTorch.
pub(crate) fn storages(pickle: &[u8]) -> Result<HashMap<Box<str>, Option<StorageSize>>, ObjectFault> {
    read(pickle, |_, objects| Ok(objects.storages().clone())).map(|(storages, _)| storages)
}

/// What is wrong with a pickle, and where in it.
#[derive(Debug)]
pub(crate) struct ObjectFault {
    position: u64,
    pub(super) reason: String,
    /// It may be right, but is not read here.
    is_unreadable: bool,
}

impl ObjectFault {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { position: 0, reason: reason.into(), is_unreadable: false }
    }

    /// The same in an archive in which the pickle starts at `start`.
    pub(crate) fn at(self, start: u64) -> Lack {
        let offset = start.saturating_add(self.position);
        if self.is_unreadable { unreadable(offset, self.reason) } else { malformed(offset, self.reason) }
    }
}

impl From<PickleError> for ObjectFault {
    fn from(error: PickleError) -> Self {
        let is_unreadable = matches!(*error.fault, Fault::Unsupported(_));
        let reason = if let Fault::Unsupported(what) = *error.fault { what } else { error.fault.to_string() };
        Self { position: error.position, reason, is_unreadable }
    }
}
