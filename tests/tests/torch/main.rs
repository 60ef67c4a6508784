//! PyTorch's checkpoints: those that PyTorch 2.0 to 2.15 has written (`fixtures/torch`), read without Python; and those that are written here,
//! read back, and read by PyTorch.

mod again;
mod consolidate;
mod convert;
mod expected;
mod forms;
mod in_order;
mod lightning;
mod meshes;
mod objects;
mod one_file;
mod overwrite;
mod pytorch;
mod round_trip;
mod same;
mod saved;
mod transforms;
mod trees;
mod values;
