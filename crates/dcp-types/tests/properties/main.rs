//! Laws of the types, each against a model that is simpler or somebody else's: ndarray, sets, lists of all ranks.

mod arrays;
mod chunk_list;
mod grid;
mod mesh;
mod plan;
mod ranks;
mod region;
mod source;
mod state;
mod strategies;
mod value;
mod view;
mod view_mut;
