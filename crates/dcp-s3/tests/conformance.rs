//! The store keeps the contract, whatever is beneath it.

use std::sync::Arc;

use dcp_s3::object_store::local::LocalFileSystem;
use dcp_s3::object_store::memory::InMemory;
use dcp_s3::{Bucket, KeyLayout};
use dcp_storage::conformance::{CLAUSES, Capability, Subject, block_on};
use dcp_storage::{ReadRange, Store, StorePath, Subdirectory};

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

/// Handles that differ in where they put data files.
mod spread {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    dcp_storage::store_conformance!(
        || {
            let (memory, handles) = (Arc::new(InMemory::new()), AtomicUsize::new(0));
            move || {
                let layouts = [KeyLayout::Spread, KeyLayout::Flat];
                let layout = layouts[handles.fetch_add(1, Ordering::Relaxed) % 2];
                Bucket::over(memory.clone(), None).layout(layout)
            }
        },
        without unfinished = "`object_store` cannot tell which uploads there are",
    );
}

/// A catalogue of a run, or a directory of a store that looks at all of it, finds what each checkpoint's own handle has written.
#[test]
fn what_is_spread_is_found_from_the_directory_around() {
    let memory = Arc::new(InMemory::new());
    let path = |name: &str| StorePath::parse(name).expect("a path");
    let step = Bucket::over(memory.clone(), Some(path("run/step-1"))).layout(KeyLayout::Spread);
    let run = Bucket::over(memory, Some(path("run")));
    block_on(async {
        let mut upload = step.create(&path("__0_0.distcp"), None).await.expect("begun");
        upload.write(b"data").await.expect("written");
        upload.finish().await.expect("finished");
        let listed = run.list(None).await.expect("listed");
        assert_eq!(listed.iter().map(|object| object.path.as_str()).collect::<Vec<_>>(), ["step-1/__0_0.distcp"]);
        let mut buffer = [0; 4];
        let inner = Subdirectory::new(Arc::new(run), path("step-1"));
        inner.read(&path("__0_0.distcp"), &mut [ReadRange { offset: 0, buffer: &mut buffer }]).await.expect("read");
        assert_eq!(&buffer, b"data");
    });
}

#[test]
fn files_keep_the_contract() {
    let fresh = || -> Box<dyn Subject> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Box::new(move || {
            let files = LocalFileSystem::new_with_prefix(directory.path()).expect("a directory");
            Bucket::over(Arc::new(files), None)
        })
    };
    all_hold(&fresh, &|name, needs| match (name, needs) {
        // Its client gives a file that is being written a longer name.
        ("long_component_works", _) => false,
        // The client for files cannot replace on a condition, and tells nobody of uploads.
        (_, needs) => !matches!(needs, Capability::Replace | Capability::Unfinished | Capability::Shared),
    });
}

/// Real servers. `DCP_TEST_…` is a URL of a place that may be written to; what else the way there takes is in the environment as ever.
/// `DCP_TEST_…_EXCEPT` has the names of clauses that the server itself is known to break, separated by commas.
mod servers {
    use super::*;

    /// `DCP_TEST_S3_UPLOADS` is set if the server can list uploads.
    #[test]
    #[ignore = "takes a server"]
    fn s3_keeps_the_contract() {
        let lists_uploads = std::env::var_os("DCP_TEST_S3_UPLOADS").is_some();
        keeps_the_contract("DCP_TEST_S3", lists_uploads);
    }

    #[test]
    #[ignore = "takes a server"]
    fn azure_keeps_the_contract() {
        keeps_the_contract("DCP_TEST_AZURE", false);
    }

    #[test]
    #[ignore = "takes a server"]
    fn gcs_keeps_the_contract() {
        keeps_the_contract("DCP_TEST_GCS", false);
    }

    fn keeps_the_contract(variable: &str, lists_uploads: bool) {
        let url = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is the URL of a place in a bucket"));
        let known = std::env::var(format!("{variable}_EXCEPT")).unwrap_or_default();
        let fresh = || -> Box<dyn Subject> {
            let url = format!("{}/{:016x}", url.trim_end_matches('/'), fastrand::u64(..));
            Box::new(move || Bucket::open(&url).expect("opens"))
        };
        all_hold(&fresh, &|name, needs| match (name, needs) {
            // There is something before it, and all of it is too long for a key.
            ("long_path_works", _) => false,
            (name, _) if known.split(',').any(|known| known == name) => false,
            (_, Capability::Shared) => false,
            (_, Capability::Unfinished) => lists_uploads,
            _ => true,
        });
    }
}

/// All clauses that apply hold, each in a fresh place.
fn all_hold(fresh: &dyn Fn() -> Box<dyn Subject>, applies: &dyn Fn(&str, Capability) -> bool) {
    let clauses = CLAUSES.iter().filter(|clause| applies(clause.name, clause.needs));
    let broken: Vec<_> = clauses.filter_map(|clause| clause.check(&*fresh()).err()).collect();
    assert!(broken.is_empty(), "{}", broken.iter().map(|broken| format!("{broken}\n")).collect::<String>());
}

#[test]
fn layouts_are_found_by_handles_of_the_other() {
    use dcp_storage::conformance::block_on;
    use dcp_storage::{ReadRange, Store};

    let memory = Arc::new(InMemory::new());
    let open = |layout| Bucket::over(memory.clone(), StorePath::parse("run").ok()).layout(layout);
    let name = StorePath::parse("__3_0.g2.distcp").expect("a name");
    for (writer, reader) in [(KeyLayout::Flat, KeyLayout::Spread), (KeyLayout::Spread, KeyLayout::Flat)] {
        let (writer, reader) = (open(writer), open(reader));
        block_on(async {
            let mut upload = writer.create(&name, None).await.expect("created");
            upload.write(b"content").await.expect("written");
            upload.finish().await.expect("finished");
            // Twice: the second time it knows where to look.
            for _ in 0..2 {
                let mut buffer = [0; 7];
                reader.read(&name, &mut [ReadRange { offset: 0, buffer: &mut buffer }]).await.expect("read");
                assert_eq!(&buffer, b"content");
            }
            assert_eq!(reader.size(&name).await.expect("found"), 7);
            for prefix in [None, Some(&name)] {
                let listed = reader.list(prefix).await.expect("listed");
                assert_eq!(listed.iter().map(|meta| &meta.path).collect::<Vec<_>>(), [&name]);
            }
            reader.delete(&name).await.expect("deleted");
            assert_eq!(writer.list(None).await.expect("listed"), []);
        });
    }
}
