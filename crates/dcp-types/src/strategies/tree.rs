//! State trees.

use std::collections::HashSet;
use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::prop_oneof;
use proptest::strategy::Strategy;

use crate::{Dict, DictKey, Fqn, Segment, StatePath, Tree};

/// Trees of dicts, lists and tuples with these leaves; empty containers, integer keys and keys with dots among them.
///
/// No two places of a tree have one name, whatever is folded when it is flattened.
pub fn state_trees<L: Clone + Debug + 'static>(
    leaves: impl Strategy<Value = L> + 'static,
) -> impl Strategy<Value = Dict<L>> + Clone {
    let tree = leaves.prop_map(Tree::Leaf).prop_recursive(4, 24, 4, |inner| {
        let items = || vec(inner.clone(), 0..4);
        let entries = vec((super::dict_keys(), inner.clone()), 0..4);
        prop_oneof![
            2 => entries.prop_map(|entries| Tree::Dict(entries.into_iter().collect())),
            1 => items().prop_map(Tree::List),
            1 => items().prop_map(Tree::Tuple),
        ]
    });
    vec((super::dict_keys(), tree), 0..5)
        .prop_map(|entries| distinct(entries.into_iter().collect(), &mut Vec::new(), &mut HashSet::new()))
}

/// The dict without the nodes whose name another node has.
fn distinct<L>(dict: Dict<L>, path: &mut Vec<Segment>, taken: &mut HashSet<Fqn>) -> Dict<L> {
    let keep = |(key, node): (DictKey, Tree<L>)| {
        let node = distinct_node(node, Segment::Key(key.clone()), path, taken)?;
        Some((key, node))
    };
    dict.into_iter().filter_map(keep).collect()
}

fn distinct_node<L>(
    node: Tree<L>,
    segment: Segment,
    path: &mut Vec<Segment>,
    taken: &mut HashSet<Fqn>,
) -> Option<Tree<L>> {
    path.push(segment);
    let kept = taken.insert(StatePath::new(path.clone()).fqn()).then(|| match node {
        Tree::Dict(dict) => Tree::Dict(distinct(dict, path, taken)),
        Tree::List(items) => Tree::List(distinct_items(items, Segment::Item, path, taken)),
        Tree::Tuple(items) => Tree::Tuple(distinct_items(items, Segment::TupleItem, path, taken)),
        leaf @ Tree::Leaf(_) => leaf,
    });
    path.pop();
    kept
}

fn distinct_items<L>(
    items: Vec<Tree<L>>,
    segment: fn(u32) -> Segment,
    path: &mut Vec<Segment>,
    taken: &mut HashSet<Fqn>,
) -> Vec<Tree<L>> {
    // Up to the first whose name is taken: what follows would move up into that name.
    (0..).zip(items).map_while(|(number, item)| distinct_node(item, segment(number), path, taken)).collect()
}
