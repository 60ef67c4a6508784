//! The list of checkpoints below a place costs one listing and the indexes.

use std::collections::BTreeSet;
use std::sync::Arc;

use dcp::{
    Catalog, CatalogState, DcpFormat, Format, LocalTensor, MemoryStore, NativeFormat, Saver, StateDict, Store,
    StorePath,
};
use dcp_storage::conformance::{FaultStore, Faults, block_on};
use dcp_storage::{Precondition, Subdirectory};
use ndarray::Array1;

/// A place with checkpoints of several formats, in directories of this many components each.
fn place() -> Arc<dyn Store> {
    let run: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let weight = Array1::from_shape_fn(1000, |at| at as f32);
    for (name, format) in [
        ("a/step-1", Arc::new(NativeFormat::new()) as Arc<dyn Format>),
        ("b/c/step-2", Arc::new(DcpFormat::new())),
        ("b/c/step-3", Arc::new(DcpFormat::new().index_per_rank())),
        ("step-4", Arc::new(DcpFormat::new().lightning())),
    ] {
        let to: Arc<dyn Store> = Arc::new(Subdirectory::new(Arc::clone(&run), path(name)));
        let tensor = LocalTensor::whole(weight.view().into_dyn()).expect("a tensor");
        let state = StateDict::new().with("weight", tensor).with("step", 7);
        let writer = dcp::ComposedWriter::new(format, to);
        Saver::new().save_to(&writer, &state).expect("saved");
    }
    run
}

fn path(name: &str) -> StorePath {
    StorePath::parse(name).expect("path")
}

#[test]
fn one_listing_and_the_indexes() {
    let store = Arc::new(FaultStore::new(place(), Faults::none()));
    let catalog = Catalog::of(Arc::clone(&store) as Arc<dyn Store>).expect("lists");
    let told: Vec<_> =
        catalog.checkpoints.iter().map(|found| (found.name.as_str(), found.step, found.format)).collect();
    let expected =
        [("a/step-1", 1, "native"), ("b/c/step-2", 2, "dcp"), ("b/c/step-3", 3, "dcp"), ("step-4", 4, "dcp")];
    assert_eq!(told, expected.map(|(name, step, format)| (name, Some(step), Some(format))));
    assert!(catalog.checkpoints.iter().all(|found| matches!(found.state, CatalogState::Complete)));

    let log = store.faults().log();
    assert_eq!(log.iter().filter(|operation| operation.name == "list").count(), 1, "{log:?}");
    let read: BTreeSet<String> =
        log.iter().filter_map(|operation| operation.path.as_ref()).map(ToString::to_string).collect();
    let indexes =
        ["a/step-1/index.dcp", "b/c/step-2/.metadata", "b/c/step-3/__0.metadata", "step-4/.metadata", "step-4/meta.pt"];
    assert_eq!(read.iter().map(String::as_str).collect::<Vec<_>>(), indexes);
}

#[test]
fn each_can_be_opened_where_it_is() {
    let catalog = Catalog::of(place()).expect("lists");
    for found in catalog.checkpoints {
        let checkpoint = dcp::Checkpoint::open(found.location).expect("opens");
        assert_eq!(checkpoint.value("step").expect("a value"), 7.into(), "{}", found.name);
    }
}

#[test]
fn what_is_under_way_is_unfinished() {
    let run = place();
    block_on(run.publish(&path("b/step-9/.dcp-claim-0"), b"", Precondition::Absent)).expect("published");
    let upload = block_on(run.create(&path("d/step-10/__0_0.distcp"), None)).expect("begun");
    let file = block_on(run.create(&path("e/step-11.pt"), None)).expect("begun");
    let catalog = Catalog::of(Arc::clone(&run)).expect("lists");
    let unfinished: Vec<_> = catalog
        .checkpoints
        .iter()
        .filter_map(|found| match &found.state {
            CatalogState::Unfinished { found: part } => Some((found.name.as_str(), part.as_str(), found.is_file)),
            _ => None,
        })
        .collect();
    let expected = [
        ("b/step-9", ".dcp-claim-0", false),
        ("d/step-10", "__0_0.distcp", false),
        ("e/step-11.pt", "e/step-11.pt", true),
    ];
    assert_eq!(unfinished, expected);
    drop((upload, file));
}
