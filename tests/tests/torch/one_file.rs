//! Files of `torch.save` that many ranks write together.

use std::io;
use std::sync::Arc;

use dcp::crates::dcp_types::{Tree, Typed};
use dcp::{
    Checkpoint, Collective, DType, DeviceMesh, Error, LocalTensor, MemoryStore, OneObject, Placement, Region, Saver,
    Shape, StateDict, StorageError, Store, StorePath, TensorSpec, ThreadGroup, TorchSaveFormat, Value, View,
};
use dcp_storage::Precondition;
use dcp_storage::conformance::{Fault, FaultStore, Faults, block_on};
use dcp_tests::{Case, Leaf, Place, Whole, assert_same_tree, cases, contents};
use ndarray::Array2;
use proptest::prelude::*;

use crate::round_trip::{for_pytorch, sorted};

/// The same case without values that fall apart when the file is read: there is no telling them from parts of the state.
pub(crate) fn for_one_file(case: Case) -> Case {
    let mut case = for_pytorch(case);
    case.tree = case.tree.into_iter().map(|(key, node)| (key, in_one_piece(node))).collect();
    case
}

fn in_one_piece(node: Tree<Leaf>) -> Tree<Leaf> {
    let each = |items: Vec<Tree<Leaf>>| items.into_iter().map(in_one_piece).collect();
    match node {
        Tree::Dict(dict) => Tree::Dict(dict.into_iter().map(|(key, node)| (key, in_one_piece(node))).collect()),
        Tree::Tuple(items) => Tree::Tuple(each(items)),
        Tree::List(items) => Tree::List(each(items)),
        Tree::Leaf(Leaf::Value(value)) if is_state(&value) => Tree::Leaf(Leaf::Value("a part of the state".into())),
        leaf @ Tree::Leaf(_) => leaf,
    }
}

fn is_state(value: &Value) -> bool {
    match value {
        Value::Dict(_) | Value::Tensor(_) => true,
        Value::List(items) => items.iter().any(is_state),
        Value::Typed(typed) => matches!(&*typed.name, Typed::ORDERED_DICT | Typed::DICT | Typed::TORCH_PARAMETER),
        _ => false,
    }
}

pub(crate) fn file_in(store: impl dcp::Store + 'static) -> Place {
    Arc::new(OneObject::new(Arc::new(store), StorePath::parse("deep/model.pt").expect("a path")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn save_and_load_is_the_identity(case in cases(16, false).prop_map(for_one_file)) {
        let file = file_in(MemoryStore::new());
        let saved = case.save_with(&file, |saver| saver.format(TorchSaveFormat::new())).expect("saves");
        assert_eq!(saved.total().files, 1);
        case.load(&file).expect("loads");
        let mut loaded = Checkpoint::open(Arc::clone(&file)).expect("opens").load().expect("loads");
        if case.private {
            loaded.take("private");
        }
        assert_same_tree(&sorted(loaded), &sorted(case.loaded()));
    }
}

/// A state of this content.
fn state(number: i64, weight: &Array2<f32>) -> StateDict<'_> {
    let weight = LocalTensor::whole(weight.view().into_dyn()).expect("a tensor");
    StateDict::new().with("step", number).with("weight", weight)
}

/// Whatever fails, and wherever the process stops: a place holds the file that was there before, or the new one, whole.
#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let save = |store: &MemoryStore, faults: &Faults, number| {
        let file = file_in(FaultStore::new(store.clone(), faults.clone()));
        Saver::new()
            .format(TorchSaveFormat::new())
            .overwrite(true)
            .save_dict(&state(number, &Array2::from_elem((3, 5), number as f32)), file)
    };
    let content = |store: &MemoryStore| match Checkpoint::open(file_in(store.clone())) {
        Ok(file) => Some((file.value("step").expect("reads"), file.tensor("weight").expect("reads"))),
        Err(_) => None,
    };
    for old in [false, true] {
        let counting = Faults::none();
        save(&MemoryStore::new(), &counting, 1).expect("saves");
        for k in 0..counting.count() {
            for fault in [|| Fault::Io(io::ErrorKind::StorageFull), || Fault::Stop, || Fault::LoseResponse] {
                let store = MemoryStore::new();
                if old {
                    save(&store, &Faults::none(), 0).expect("saves");
                }
                let before = content(&store);
                let faults = Faults::none().at(k, fault());
                let saved = save(&store, &faults, 1);
                assert_eq!(faults.pending(), 0);
                let after = content(&store);
                let is_new = after.as_ref().is_some_and(|(step, _)| *step == 1.into());
                assert!(is_new || after == before, "{k} {:?}: {after:?}", fault());
                assert!(is_new || saved.is_err(), "{k} {:?}", fault());
                if matches!(fault(), Fault::Io(_)) {
                    assert_eq!(block_on(store.unfinished()).expect("names"), [], "{k}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_file_of_torch_save_is_not_replaced() {
    let store = MemoryStore::new();
    let path = StorePath::parse("deep/model.pt").expect("a path");
    block_on(store.publish(&path, b"a letter", Precondition::Absent)).expect("published");
    let saver = Saver::new().format(TorchSaveFormat::new()).overwrite(true);
    let refused =
        saver.save_dict(&StateDict::new().with("step", 1), file_in(store.clone())).expect_err("it is a letter");
    assert!(
        matches!(&refused, Error::Storage(error) if matches!(**error, StorageError::NoCheckpoint { .. })),
        "{refused:?}"
    );
    assert_eq!(block_on(store.size(&path)).expect("is there"), 8);
}

#[test]
fn a_file_is_not_replaced_unasked() {
    let file = file_in(MemoryStore::new());
    let saver = Saver::new().format(TorchSaveFormat::new());
    saver.save_dict(&StateDict::new().with("step", 1), Arc::clone(&file)).expect("saves");
    let refused = saver.save_dict(&StateDict::new().with("step", 2), Arc::clone(&file)).expect_err("it is there");
    assert!(matches!(&refused, Error::Storage(error) if matches!(**error, StorageError::Exists { .. })), "{refused:?}");
    assert_eq!(Checkpoint::open(file).and_then(|file| file.value("step")).expect("reads"), 1.into());
}

/// Input and output embeddings, held by four ranks in rows.
#[test]
fn one_memory_is_one_storage() {
    let mesh = Arc::new(DeviceMesh::new([4]).expect("a mesh"));
    let whole = Whole::new(DType::Float32, Shape::new([8, 5]).expect("a shape"), 1);
    let shape = whole.shape.clone();
    let spec = TensorSpec::sharded(DType::Float32, shape, &mesh, vec![Placement::Shard(0)]).expect("a spec");
    let save = |are_tied: bool, file: &Place| {
        let outcomes = ThreadGroup::run(4, |rank| {
            let rows = Region::new([2 * Collective::rank(&rank) as u64, 0], [2, 5]).expect("a region");
            let [weight, copy] = [0, 1].map(|_| whole.slice(&rows));
            let tensor = |bytes| {
                LocalTensor::new(spec.clone(), View::from_bytes(DType::Float32, &[2, 5], bytes).expect("a view"))
            };
            let state = StateDict::new()
                .with("out", tensor(if are_tied { &weight } else { &copy }))
                .with("in", tensor(&weight));
            Saver::new().group(&rank).format(TorchSaveFormat::new()).save_dict(&state, Arc::clone(file))
        });
        outcomes.into_iter().for_each(|outcome| drop(outcome.expect("no rank panics").expect("saves")));
    };
    let sizes = [true, false].map(|are_tied| {
        let file = file_in(MemoryStore::new());
        save(are_tied, &file);
        let checkpoint = Checkpoint::open(Arc::clone(&file)).expect("opens");
        for name in ["in", "out"] {
            assert_eq!(checkpoint.tensor(name).expect("reads").bytes(), whole.bytes);
        }
        contents(&file).values().map(Vec::len).sum::<usize>()
    });
    assert!(sizes[0] + 160 < sizes[1], "{sizes:?}");
}
