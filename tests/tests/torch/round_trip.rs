//! What is saved in PyTorch's format on any mesh is loaded on any other.

use std::sync::Arc;

use dcp::crates::dcp_types::{Dict, Tree};
use dcp::{Checkpoint, DcpFormat, DictKey, Format, Loaded, LoadedLeaf, LocalStore, MemoryStore, Value};
use dcp_tests::{Case, Leaf, Place, assert_same_tree, cases, contents};
use proptest::prelude::*;

/// The same case with nothing that PyTorch cannot hold: lists for tuples of tensors, other values.
pub(crate) fn for_pytorch(mut case: Case) -> Case {
    case.tree = case.tree.into_iter().map(|(key, node)| (key, expressible(node))).collect();
    case
}

fn expressible(node: Tree<Leaf>) -> Tree<Leaf> {
    let each = |items: Vec<Tree<Leaf>>| items.into_iter().map(expressible).collect();
    match node {
        Tree::Dict(dict) => Tree::Dict(dict.into_iter().map(|(key, node)| (key, expressible(node))).collect()),
        Tree::Tuple(items) if !items.iter().all(is_plain) => Tree::List(each(items)),
        Tree::Tuple(items) => Tree::Tuple(each(items)),
        Tree::List(items) => Tree::List(each(items)),
        Tree::Leaf(Leaf::Value(value)) if DcpFormat::new().encode_value(&"any".into(), &value).is_err() => {
            Tree::Leaf(Leaf::Value("what PyTorch cannot hold".into()))
        }
        leaf => leaf,
    }
}

fn is_plain(node: &Tree<Leaf>) -> bool {
    match node {
        Tree::Leaf(leaf) => matches!(leaf, Leaf::Value(_)),
        Tree::List(items) | Tree::Tuple(items) => items.iter().all(is_plain),
        Tree::Dict(_) => false,
    }
}

/// With text for integers as keys of dicts of tensors, as PyTorch has them.
pub(crate) fn with_text_keys(tree: Loaded) -> Loaded {
    tree.into_iter().map(|(key, node)| (DictKey::Str(key.to_string().into()), text_keys(node))).collect()
}

fn text_keys(node: Tree<LoadedLeaf>) -> Tree<LoadedLeaf> {
    let each = |items: Vec<Tree<LoadedLeaf>>| items.into_iter().map(text_keys).collect();
    match node {
        Tree::Dict(dict) => Tree::Dict(with_text_keys(dict)),
        Tree::List(items) => Tree::List(each(items)),
        Tree::Tuple(items) => Tree::Tuple(each(items)),
        leaf @ Tree::Leaf(_) => leaf,
    }
}

fn save(case: &Case, place: &Place) {
    let format = DcpFormat::new().files_per_rank(case.options.files_per_rank);
    let saved = case.save_with(place, |saver| saver.format(format.clone())).expect("saves");
    let files = contents(place).keys().filter(|name| name.ends_with(".distcp")).count();
    assert_eq!(saved.total().files, files as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn save_and_load_is_the_identity(case in cases(16, false).prop_map(for_pytorch)) {
        let store: Place = Arc::new(MemoryStore::new());
        save(&case, &store);
        case.load(&store).expect("loads");
        let mut loaded = Checkpoint::open(Arc::clone(&store)).expect("opens").load().expect("loads");
        if case.private {
            loaded.take("private");
        }
        assert_same_tree(&sorted(loaded), &sorted(with_text_keys(case.loaded())));
    }
}

/// By names: an index lists objects of all ranks where they were declared.
pub(crate) fn sorted(tree: Loaded) -> Loaded {
    let mut entries: Vec<_> = tree.into_iter().collect();
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    entries.into_iter().map(|(key, node)| (key, sorted_node(node))).collect::<Dict<_>>()
}

fn sorted_node(node: Tree<LoadedLeaf>) -> Tree<LoadedLeaf> {
    match node {
        Tree::Dict(dict) => Tree::Dict(sorted(dict)),
        Tree::List(items) => Tree::List(items.into_iter().map(sorted_node).collect()),
        Tree::Tuple(items) => Tree::Tuple(items.into_iter().map(sorted_node).collect()),
        leaf @ Tree::Leaf(_) => leaf,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn so_it_is_on_disk(case in cases(6, false).prop_map(for_pytorch)) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let store: Place = Arc::new(LocalStore::open(dir.path().join("deep/step")));
        save(&case, &store);
        case.load(&store).expect("loads");
    }
}

#[test]
fn what_pytorch_holds_is_saved_again_as_it_is() {
    for fixture in crate::expected::all() {
        let checkpoint = Checkpoint::open(&fixture.path).expect("opens");
        let store = MemoryStore::new();
        let saved = checkpoint.load().expect("loads");
        let state = crate::again::state_of(&saved);
        dcp::Saver::new().format(DcpFormat::new()).save_dict(&state, store.clone()).expect("saves");
        let again = Checkpoint::open(store).and_then(|again| again.load()).expect("loads");
        assert_same_tree(&sorted(again), &sorted(with_text_keys(saved.clone())));
    }
}

#[test]
fn values_that_pytorch_cannot_hold_fail_the_save() {
    let store = MemoryStore::new();
    let odd = Value::from(dcp::crates::dcp_types::Typed::new("a.b.C", Value::None));
    let state = dcp::StateDict::new().with("fine", 1).with("odd", odd);
    let error = dcp::Saver::new().format(DcpFormat::new()).save_dict(&state, store.clone()).expect_err("refused");
    assert!(error.to_string().contains("odd: a value of type \"a.b.C\""), "{error}");
    assert!(contents(&(Arc::new(store) as Place)).is_empty());
}

#[test]
fn tensors_and_dicts_in_tuples_are_refused_before_anything_is_written() {
    let store = MemoryStore::new();
    let state = || dcp::StateDict::new().with("pair", Tree::Tuple(vec![dcp::StateDict::new().with("lr", 0.1).into()]));
    let error = dcp::Saver::new().format(DcpFormat::new()).save_dict(&state(), store.clone()).expect_err("refused");
    assert!(error.to_string().contains("[\"pair\"](0)[\"lr\"]: a tensor or dict inside a tuple"), "{error}");
    assert!(contents(&(Arc::new(store.clone()) as Place)).is_empty());
    dcp::Saver::new().save_dict(&state(), store).expect("the native format can");
}
