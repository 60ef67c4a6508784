//! State trees, of the old flattening (before PyTorch 2.4) and the new.

use dcp::crates::dcp_types::{DictKey, Segment};
use dcp::{Checkpoint, Collective, DcpFormat, Error, MemoryStore, Saver, StateDict, StorageError, Store, ThreadGroup};
use serde_json::Value;

use crate::expected::all;

#[test]
fn names_stand_for_the_paths_that_were_saved() {
    for fixture in all() {
        let checkpoint = Checkpoint::open(&fixture.path).expect("opens");
        for (fqn, path) in fixture.paths() {
            let (_, entry) = checkpoint.metadata().find(&fqn).unwrap_or_else(|| panic!("{fqn} is there"));
            let segment = |segment: &Segment| match segment {
                Segment::Key(DictKey::Str(key)) => Value::from(&**key),
                Segment::Item(number) => Value::from(*number),
                other => panic!("{other:?} in a path of PyTorch"),
            };
            let found: Vec<Value> = entry.path.segments().iter().map(segment).collect();
            assert_eq!(Value::from(found), path, "{}: {fqn}", fixture.path.display());
        }
    }
}

#[test]
fn whole_trees_are_built_again() {
    for fixture in all() {
        let loaded = Checkpoint::open(&fixture.path).and_then(|checkpoint| checkpoint.load());
        assert!(loaded.is_ok(), "{}: {loaded:?}", fixture.path.display());
    }
}

/// What one rank has as an empty dict, and another filled, makes no tree: the index could not be read again.
#[test]
fn what_is_no_tree_is_refused_before_anything_is_written() {
    let store = MemoryStore::new();
    let saved = ThreadGroup::run(2, |rank| {
        let model = StateDict::new();
        let model = if rank.rank() == 0 { model } else { model.with("step", 7) };
        let state = StateDict::new().with("model", model);
        Saver::new().group(&rank).format(DcpFormat::new()).save_dict(&state, store.clone())
    });
    match saved.into_iter().next().expect("two ranks").expect("no panic") {
        Err(Error::Storage(fault)) => match *fault {
            StorageError::Unsupported { what, .. } => assert!(what.contains("model"), "{what}"),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let left = dcp_storage::conformance::block_on(store.list(None)).expect("listed");
    assert!(left.is_empty(), "{left:?}");
}
