//! Reading without I/O: a machine that says what it needs.

use bytes::Bytes;

use crate::{StorageError, StorePath};

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
}

/// The answer to a [`Need`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Bytes, as many as were asked for.
    Bytes(Bytes),
    /// A size in bytes.
    Size(u64),
}

impl Need {
    /// The object in question.
    #[must_use]
    pub fn path(&self) -> &StorePath {
        match self {
            Self::Whole(path) | Self::Range { path, .. } | Self::Size(path) => path,
        }
    }
}
