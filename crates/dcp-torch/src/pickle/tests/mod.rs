mod machine;
mod never_panics;
mod objects;
mod symbols;
