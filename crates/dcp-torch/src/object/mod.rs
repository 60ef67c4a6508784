//! What `torch.save` has pickled: plain values, tensors, and objects that only Python can make.

mod harm;
mod read;
mod rebuild;
mod state;
mod tensor;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod vocabulary;
mod write;
mod write_tensor;

pub(crate) use harm::harm_in;
pub(crate) use read::tensor;
pub(crate) use state::{StateLeaf, encode_state, pickle_state};
pub(crate) use tensor::TensorRef;
pub(crate) use tree::{Leaf, LeafContent, SavedTree, TreeRead};
pub(crate) use value::{ENCODING, checked_bytes, decode_strictly};
pub(crate) use write::encode;
pub(crate) use write_tensor::TensorArchive;
