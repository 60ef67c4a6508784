//! Keys and places in state trees.

use proptest::prelude::{Just, prop_oneof};
use proptest::strategy::Strategy;

use crate::{Dict, DictKey, Segment, StatePath, Tree};

/// Keys of dicts: short and dotted names, integers (also negative), text that looks like an integer, any text.
pub fn dict_keys() -> impl Strategy<Value = DictKey> + Clone {
    prop_oneof![
        4 => "[a-c]{1,2}".prop_map(DictKey::from),
        2 => "[a-c]\\.[a-c0-2]\\.[a-c]".prop_map(DictKey::from),
        2 => (-1..4i64).prop_map(DictKey::Int),
        1 => "[0-3]".prop_map(DictKey::from),
        1 => ".{0,3}".prop_map(DictKey::from),
    ]
}

/// The places of all leaves of a tree, in its order; no two have one name.
pub fn state_paths() -> impl Strategy<Value = Vec<StatePath>> + Clone {
    super::state_trees(Just(())).prop_map(|tree| {
        let mut paths = Vec::new();
        below(&tree, &mut Vec::new(), &mut paths);
        paths
    })
}

fn below(dict: &Dict<()>, path: &mut Vec<Segment>, paths: &mut Vec<StatePath>) {
    for (key, node) in dict.iter() {
        descend(node, Segment::Key(key.clone()), path, paths);
    }
}

fn descend(node: &Tree<()>, segment: Segment, path: &mut Vec<Segment>, paths: &mut Vec<StatePath>) {
    path.push(segment);
    match node {
        Tree::Leaf(()) => paths.push(StatePath::new(path.clone())),
        Tree::Dict(dict) => below(dict, path, paths),
        Tree::List(items) => {
            (0..).zip(items).for_each(|(number, item)| descend(item, Segment::Item(number), path, paths));
        }
        Tree::Tuple(items) => {
            (0..).zip(items).for_each(|(number, item)| descend(item, Segment::TupleItem(number), path, paths));
        }
    }
    path.pop();
}
