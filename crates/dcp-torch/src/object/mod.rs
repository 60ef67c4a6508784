//! What `torch.save` has pickled: plain values, tensors, and objects that only Python can make.

mod cut;
mod harm;
#[cfg(any(test, fuzzing))]
mod law;
mod persistent;
mod read;
mod rebuild;
mod recipe;
mod splice;
#[cfg(test)]
mod splice_tests;
mod state;
mod tensor;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod vocabulary;
mod write;
mod write_tensor;

pub(crate) use cut::{CutObject, CutStorage, cut};
pub(crate) use harm::harm_in;
#[cfg(fuzzing)]
pub(crate) use law::check_again;
pub(crate) use read::{storages, tensor};
pub(crate) use state::{StateLeaf, encode_state, pickle_state};
pub(crate) use tensor::{TensorRef, wrong_length};
pub(crate) use tree::{Leaf, LeafContent, Position, SavedTree, TreeRead};
pub(crate) use value::{ENCODING, checked_bytes, decode_plain, decode_strictly};
pub(crate) use vocabulary::StorageSize;
pub(crate) use write::encode;
pub(crate) use write_tensor::TensorArchive;
