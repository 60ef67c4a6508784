//! The store keeps the contract.

use std::sync::Arc;

use dcp_s3::Bucket;
use dcp_s3::object_store::memory::InMemory;

mod memory {
    use super::*;

    dcp_storage::store_conformance!(
        || {
            let memory = Arc::new(InMemory::new());
            move || Bucket::over(memory.clone(), None)
        },
        without unfinished = "`object_store` cannot tell which uploads there are",
    );
}
