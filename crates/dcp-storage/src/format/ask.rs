//! Reading without I/O: a machine that says what it needs.

use bytes::Bytes;

use crate::{ObjectMeta, StorageError, StorePath};

/// A computation that needs bytes of objects on its way.
///
/// It is called with no replies at first, then each time with the replies to what it asked for, in order.
pub trait Ask: Send {
    /// What it comes to in the end.
    type Output;

    /// Goes on as far as possible.
    ///
    /// # Errors
    /// Whatever is wrong with the bytes; the machine is not called again then.
    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<Self::Output>, StorageError>;
}

/// Where an [`Ask`] stands.
#[derive(Debug)]
pub enum Step<T> {
    /// These are needed to go on.
    Needs(Vec<Need>),
    /// The result.
    Done(T),
}

/// Something about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// All of its bytes.
    Whole(StorePath),
    /// Some of its bytes.
    Range {
        /// The object.
        path: StorePath,
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// Its size.
    Size(StorePath),
    /// Its size, if it is there at all.
    Presence(StorePath),
    /// What is there: every object below a prefix, or every object.
    Listing(Option<StorePath>),
}

/// The answer to a [`Need`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Bytes, as many as were asked for.
    Bytes(Bytes),
    /// A size in bytes.
    Size(u64),
    /// A size in bytes, or that the object is missing.
    Presence(Option<u64>),
    /// Objects, sorted by path.
    Listing(Vec<ObjectMeta>),
}

impl Need {
    /// The object in question, if it is one.
    pub(crate) fn path(&self) -> Option<&StorePath> {
        match self {
            Self::Whole(path) | Self::Range { path, .. } | Self::Size(path) | Self::Presence(path) => Some(path),
            Self::Listing(_) => None,
        }
    }
}

/// Finds out whether an object is there: how most formats recognise a checkpoint.
pub(crate) struct IsThere(pub(crate) StorePath);

impl Ask for IsThere {
    type Output = bool;

    fn next(&mut self, replies: Vec<Reply>) -> Result<Step<bool>, StorageError> {
        match replies.as_slice() {
            [Reply::Presence(size)] => Ok(Step::Done(size.is_some())),
            _ => Ok(Step::Needs(vec![Need::Presence(self.0.clone())])),
        }
    }
}
