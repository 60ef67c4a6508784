//! Checkpoints that PyTorch 2.0 to 2.15 has written (`fixtures/torch`), read without Python.

mod expected;
mod meshes;
mod saved;
mod trees;
mod values;
