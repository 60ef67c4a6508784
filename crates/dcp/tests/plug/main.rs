//! The writers and readers made of each format keep their contracts, and the suite that says so catches what is broken.

mod broken;

mod in_memory {
    use std::sync::Arc;

    use dcp::{MemoryStore, NativeFormat};
    use dcp_storage::conformance::plug::ComposedPlug;

    dcp_storage::plug_conformance!(|| {
        let store = MemoryStore::new();
        ComposedPlug::new(Arc::new(NativeFormat::new()), move || store.clone())
    });
}

mod on_disk {
    use std::sync::Arc;

    use dcp::{Durability, LocalStore, NativeFormat};
    use dcp_storage::conformance::plug::ComposedPlug;

    dcp_storage::plug_conformance!(|| {
        let directory = tempfile::tempdir().expect("temporary directory");
        let open = move || LocalStore::open(directory.path()).durability(Durability::None);
        ComposedPlug::new(Arc::new(NativeFormat::new().files_per_rank(3)), open)
    });
}

#[cfg(feature = "torch")]
mod of_pytorch_in_memory {
    use std::sync::Arc;

    use dcp::{DcpFormat, MemoryStore};
    use dcp_storage::conformance::plug::ComposedPlug;

    dcp_storage::plug_conformance!(|| {
        let store = MemoryStore::new();
        ComposedPlug::new(Arc::new(DcpFormat::new()), move || store.clone())
    });
}

#[cfg(feature = "torch")]
mod of_pytorch_on_disk {
    use std::sync::Arc;

    use dcp::{DcpFormat, Durability, LocalStore};
    use dcp_storage::conformance::plug::ComposedPlug;

    dcp_storage::plug_conformance!(|| {
        let directory = tempfile::tempdir().expect("temporary directory");
        let open = move || LocalStore::open(directory.path()).durability(Durability::None);
        ComposedPlug::new(Arc::new(DcpFormat::new().files_per_rank(3)), open)
    });
}

#[cfg(feature = "torch")]
mod of_one_file_in_memory {
    use std::sync::Arc;

    use dcp::{MemoryStore, TorchSaveFormat};
    use dcp_storage::conformance::plug::ComposedPlug;

    use super::one_file;

    dcp_storage::plug_conformance!(
        || {
            let store = MemoryStore::new();
            ComposedPlug::new(Arc::new(TorchSaveFormat::new()), move || one_file(store.clone()))
        },
        without overwrite = "of savers that replace a file at the same time the last one wins",
    );
}

#[cfg(feature = "torch")]
mod of_one_file_on_disk {
    use std::sync::Arc;

    use dcp::{Durability, LocalStore, TorchSaveFormat};
    use dcp_storage::conformance::plug::ComposedPlug;

    use super::one_file;

    dcp_storage::plug_conformance!(
        || {
            let directory = tempfile::tempdir().expect("temporary directory");
            let open = move || one_file(LocalStore::open(directory.path()).durability(Durability::None));
            ComposedPlug::new(Arc::new(TorchSaveFormat::new()), open)
        },
        without overwrite = "of savers that replace a file at the same time the last one wins",
    );
}

/// The place for a file.
#[cfg(feature = "torch")]
fn one_file(store: impl dcp::Store + 'static) -> dcp::OneObject {
    dcp::OneObject::new(std::sync::Arc::new(store), dcp::StorePath::parse("model.pt").expect("a path"))
}

/// What is lacking is reported as ignored.
mod without {
    use std::sync::Arc;

    use dcp::{MemoryStore, NativeFormat};
    use dcp_storage::conformance::plug::ComposedPlug;

    dcp_storage::plug_conformance!(
        || {
            let store = MemoryStore::new();
            ComposedPlug::new(Arc::new(NativeFormat::new()), move || store.clone())
        },
        without overwrite = "only to show that it can be lacking",
        without values = "only to show that they can be lacking",
        without objects = "only to show that they can be lacking",
    );
}
