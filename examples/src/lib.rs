//! Examples, each of which runs by itself (`cargo run -p dcp-examples --example quickstart`):
//!
//! | example | what it shows |
//! |---|---|
//! | `quickstart` | an object of one's own that is saved and loaded, from a single process |
//! | `reshard` | 8 ranks save, 6 ranks on another mesh load |
//! | `slice` | one slice of one tensor, and what reading it cost |
//! | `own_planner` | a planner that lets one rank of each node write what all ranks have |
//! | `own_store` | a store of one's own, and the suite that tells whether it is right |
