//! Input that nobody writes by mistake: each gives its own kind of error, and takes neither time nor memory beyond its size.
//!
//! No index of this format can lead a reader astray by a path: it has none. The names of data files are made of numbers.

mod allocator;
mod bodies;
mod damage;
mod encoded;
mod files;
mod support;
