//! Whether two checkpoints hold the same.

use dcp::{Checkpoint, Fqn};

/// Compares names, in order, dtypes, shapes, bytes and values.
pub(crate) fn assert_same(one: &Checkpoint, other: &Checkpoint) {
    let names = |of: &Checkpoint| of.metadata().entries().map(|(fqn, _)| fqn.clone()).collect::<Vec<Fqn>>();
    assert_eq!(names(one), names(other));
    for fqn in names(one) {
        let fqn = fqn.as_str();
        if one.metadata().tensor(fqn).is_none() {
            let [left, right] = [one, other].map(|of| of.value(fqn).expect("a value"));
            assert_eq!(left.encode().expect("encodes"), right.encode().expect("encodes"), "{fqn}: {left:?} {right:?}");
            continue;
        }
        let [left, right] = [one, other].map(|of| of.tensor(fqn).expect("a tensor"));
        assert_eq!((left.dtype(), left.shape()), (right.dtype(), right.shape()), "{fqn}");
        assert!(left.bytes() == right.bytes(), "{fqn} differs");
    }
}
