//! The store keeps the contract, with and without flushing.

use dcp_fs::{Durability, LocalStore};

mod flushing {
    use super::*;

    dcp_storage::store_conformance!(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // Not there yet: the first write makes it, and the directory above it too.
        move || LocalStore::open(directory.path().join("runs/run-1"))
    });
}

mod not_flushing {
    use super::*;

    dcp_storage::store_conformance!(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        move || LocalStore::open(directory.path()).durability(Durability::None)
    });
}

#[cfg(target_os = "linux")]
mod cold {
    use super::*;

    dcp_storage::store_conformance!(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        move || LocalStore::open(directory.path()).durability(Durability::None).cold(true)
    });
}
