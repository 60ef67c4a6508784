//! The good stores of this crate keep the contract.

mod memory {
    use dcp_storage::MemoryStore;

    dcp_storage::store_conformance!(|| {
        let store = MemoryStore::new();
        move || store.clone()
    });
}

/// A wrapper without a fault is no different from what it wraps.
mod faultless {
    use std::sync::Arc;

    use dcp_storage::conformance::{FaultStore, Faults};
    use dcp_storage::{MemoryStore, Store};

    dcp_storage::store_conformance!(|| {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        move || FaultStore::new(store.clone(), Faults::none())
    });
}

/// Nor is a directory of a store, whatever lies around it.
mod subdirectory {
    use std::sync::Arc;

    use dcp_storage::conformance::block_on;
    use dcp_storage::{MemoryStore, Precondition, Store, StorePath, Subdirectory};

    dcp_storage::store_conformance!(|| {
        let store = Arc::new(MemoryStore::new());
        for name in ["run", "run/step-77/a", "a", "b/run/step-7/a"] {
            let path = StorePath::parse(name).expect("path");
            block_on(store.publish(&path, b"not below it", Precondition::Absent)).expect("published");
        }
        move || Subdirectory::new(store.clone(), StorePath::parse("run/step-7").expect("path"))
    });
}

/// What a store lacks is reported as ignored.
mod without {
    use dcp_storage::MemoryStore;

    dcp_storage::store_conformance!(
        || MemoryStore::new,
        without reopen = "each handle is a store of its own",
        without unfinished = "no other handle sees an upload",
        without exact_names = "only to show that several can be lacking",
    );
}
