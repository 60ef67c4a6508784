//! State trees: flattening loses nothing.

use dcp_types::{
    Dict, FlatState, LocalTensor, Segment, Source, StateDict, StateLeaf, StatePath, TargetLeaf, TargetTensor, Tree,
    TypesError, Value, flatten_state, flatten_target, strategies, unflatten,
};
use proptest::prelude::*;

/// A leaf that can be compared: the number of a tensor, or a value, encoded.
#[derive(Clone, Debug, PartialEq)]
enum Leaf {
    Tensor(u32),
    Value(Vec<u8>),
}

fn leaves() -> impl Strategy<Value = Leaf> {
    let values = strategies::values().prop_map(|value| Leaf::Value(encoded(&value)));
    prop_oneof![(0..100u32).prop_map(Leaf::Tensor), values]
}

fn encoded(value: &Value) -> Vec<u8> {
    value.encode().expect("not deep").to_vec()
}

fn map<A, B>(dict: &Dict<A>, leaf: &impl Fn(&A) -> B) -> Dict<B> {
    dict.iter().map(|(key, node)| (key.clone(), map_node(node, leaf))).collect()
}

fn map_node<A, B>(node: &Tree<A>, leaf: &impl Fn(&A) -> B) -> Tree<B> {
    let all = |items: &[Tree<A>]| items.iter().map(|item| map_node(item, leaf)).collect();
    match node {
        Tree::Dict(dict) => Tree::Dict(map(dict, leaf)),
        Tree::List(items) => Tree::List(all(items)),
        Tree::Tuple(items) => Tree::Tuple(all(items)),
        Tree::Leaf(own) => Tree::Leaf(leaf(own)),
    }
}

fn state(dict: &Dict<Leaf>) -> StateDict<'static> {
    map(dict, &|leaf| match leaf {
        Leaf::Tensor(number) => {
            let one: &'static [u32] = vec![*number].leak();
            let array = ndarray::ArrayViewD::from_shape(vec![1], one).expect("one element");
            StateLeaf::Tensor(Box::new(LocalTensor::whole(array).expect("small")))
        }
        Leaf::Value(bytes) => StateLeaf::Value(Value::decode(bytes).expect("encoded here")),
    })
}

fn leaf(leaf: StateLeaf<'_>) -> Leaf {
    match leaf {
        StateLeaf::Value(value) => Leaf::Value(encoded(&value)),
        StateLeaf::Tensor(tensor) => match &tensor.source {
            Source::View(view) => {
                let mut bytes = [0; 4];
                view.read_at(0, &mut bytes).expect("one element");
                Leaf::Tensor(u32::from_le_bytes(bytes))
            }
            other => panic!("{other:?}"),
        },
    }
}

/// As the documentation of `flatten_state` says it: lists and tuples in which there is no tensor and no dict
/// become one value, as does an empty dict.
fn folded(dict: &Dict<Leaf>) -> Dict<Leaf> {
    dict.iter().map(|(key, node)| (key.clone(), folded_node(node))).collect()
}

fn folded_node(node: &Tree<Leaf>) -> Tree<Leaf> {
    match value_of(node) {
        Some(value) => Tree::Leaf(Leaf::Value(encoded(&value))),
        None => match node {
            Tree::Dict(dict) => Tree::Dict(folded(dict)),
            Tree::List(items) => Tree::List(items.iter().map(folded_node).collect()),
            Tree::Tuple(items) => Tree::Tuple(items.iter().map(folded_node).collect()),
            Tree::Leaf(leaf) => Tree::Leaf(leaf.clone()),
        },
    }
}

/// The value that a container becomes, if it does.
fn value_of(node: &Tree<Leaf>) -> Option<Value> {
    fn all(items: &[Tree<Leaf>]) -> Option<Vec<Value>> {
        let item = |item: &Tree<Leaf>| match item {
            Tree::Leaf(Leaf::Value(bytes)) => Some(Value::decode(bytes).expect("encoded here")),
            Tree::Leaf(Leaf::Tensor(_)) | Tree::Dict(_) => None,
            Tree::List(_) | Tree::Tuple(_) => value_of(item),
        };
        items.iter().map(item).collect()
    }
    match node {
        Tree::Dict(dict) => dict.is_empty().then(|| Value::Dict(Vec::new())),
        Tree::List(items) => all(items).map(Value::List),
        Tree::Tuple(items) => all(items).map(Value::Tuple),
        Tree::Leaf(_) => None,
    }
}

proptest! {
    #[test]
    fn flat_states_grow_back(tree in strategies::state_trees(leaves())) {
        let flat = flatten_state(state(&tree)).expect("distinct names");
        prop_assert!(flat.iter().all(|(fqn, (path, _))| path.fqn() == *fqn));
        let grown = unflatten(flat.into_values().map(|(path, own)| (path, leaf(own)))).expect("paths of one tree");
        let expected = folded(&tree);
        prop_assert_eq!(&grown, &expected);
        prop_assert_eq!(format!("{:?}", grown), format!("{:?}", expected), "another order");
    }

    #[test]
    fn a_borrowed_state_is_the_same(tree in strategies::state_trees(leaves())) {
        let state: StateDict<'_> = state(&tree);
        let leaves = |flat: FlatState<'_>| -> Vec<_> {
            flat.into_values().map(|(path, own)| (path, leaf(own))).collect()
        };
        let borrowed = leaves(flatten_state(state.reborrow()).expect("distinct names"));
        prop_assert_eq!(borrowed, leaves(flatten_state(state).expect("distinct names")));
    }

    #[test]
    fn a_target_has_the_names_of_its_state(tree in strategies::state_trees(leaves())) {
        let state = flatten_state(state(&tree)).expect("distinct names");
        let target = map(&tree, &|leaf| match leaf {
            Leaf::Value(_) => TargetLeaf::Value,
            Leaf::Tensor(number) => {
                let one: &'static mut [u32] = vec![*number].leak();
                let array = ndarray::ArrayViewMutD::from_shape(vec![1], one).expect("one element");
                TargetLeaf::Tensor(Box::new(TargetTensor::whole(array).expect("small")))
            }
        });
        let target = flatten_target(target).expect("distinct names");
        prop_assert_eq!(target.keys().collect::<Vec<_>>(), state.keys().collect::<Vec<_>>());
        for ((path, wanted), (saved_path, saved)) in target.values().zip(state.values()) {
            prop_assert_eq!(path, saved_path);
            prop_assert_eq!(matches!(wanted, TargetLeaf::Value), matches!(saved, StateLeaf::Value(_)));
        }
    }

    #[test]
    fn the_order_in_which_leaves_arrive_does_not_matter(
        (paths, shuffled) in strategies::state_paths().prop_flat_map(|paths| {
            let leaves: Vec<_> = paths.into_iter().zip(0u32..).collect();
            (Just(leaves.clone()), Just(leaves).prop_shuffle())
        }),
    ) {
        let grown = unflatten(shuffled).expect("paths of one tree");
        prop_assert_eq!(grown, unflatten(paths).expect("paths of one tree"));
    }

    #[test]
    fn a_path_through_a_leaf_is_refused(paths in strategies::state_paths(), pick in any::<prop::sample::Index>()) {
        if paths.is_empty() {
            return Ok(());
        }
        let mut segments = paths[pick.index(paths.len())].segments().to_vec();
        segments.push(Segment::Key("below".into()));
        let through = StatePath::new(segments);
        let leaves = paths.iter().chain([&through]).map(|path| (path.clone(), ()));
        let expected = TypesError::Tree { path: through.clone(), reason: "another path has another kind of node there" };
        prop_assert_eq!(unflatten(leaves), Err(expected));
    }
}

#[test]
fn two_places_of_one_name_are_refused() {
    let state: StateDict<'_> = StateDict::new().with("a.b", 1).with("a", StateDict::new().with("b", 2));
    match flatten_state(state) {
        Err(TypesError::NameCollision { fqn, first, second }) => {
            assert_eq!((fqn.as_str(), first.segments().len(), second.segments().len()), ("a.b", 1, 2));
        }
        other => panic!("{other:?}"),
    }
}
