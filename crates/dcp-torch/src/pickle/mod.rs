//! A pickle machine that runs nothing.
//!
//! A pickle is a program for a stack machine. This one reads all that CPython's pickler writes in protocols 2 to 5 (and of 0 and 1 what
//! `torch.save` has written), from bytes in memory, in two passes: the first finds out which memo slots are ever fetched
//! ([`scan`]), so that the second keeps nothing else alive. Nothing is looked up or called: what globals mean, and what comes of calling
//! them, is said by a [`Vocabulary`]. Objects of a few leaves are read in one go, if the vocabulary has such ([`record`]).
//!
//! Memory is bounded by the input: lengths are checked against what is there, memo slots are only those that are fetched, and a
//! [`Node`] knows how deep it is and how heavy it would be with everything shared in it written out; both are limited.
//! A container that is put into another one is closed: it cannot change any more. So there are no cycles.

mod error;
mod fill;
mod machine;
mod memo;
mod node;
mod op;
mod record;
mod scan;
mod slots;
#[cfg(test)]
mod tests;
mod vocabulary;
mod write;

pub(crate) use error::{Fault, PickleError};
pub(crate) use machine::unpickle;
pub(crate) use node::{Node, Nodes};
pub(crate) use vocabulary::{Pair, Vocabulary};
pub(crate) use write::{Pickler, Protocol, Slot, TooLong};
