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
