//! State trees, of the old flattening (before PyTorch 2.4) and the new.

use dcp::Checkpoint;
use dcp::crates::dcp_types::{DictKey, Segment};
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
