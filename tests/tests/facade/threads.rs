//! On which threads a load reads.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

use dcp::{Loader, LocalTensor, MemoryStore, Saver, StateDict, StateTarget, Store, TargetTensor, ThreadGroup};
use dcp_tests::CountingStore;
use ndarray::Array1;

/// More ranks than cores: none of them needs another thread for what it reads.
#[test]
fn ranks_that_are_threads_share_the_cores() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let names: Vec<String> = (0..8).map(|number| format!("tensor.{number}")).collect();
    let saved = Array1::from_elem(100_000, 1.5_f32);
    let view = || LocalTensor::whole(saved.view().into_dyn()).expect("a tensor");
    let state: StateDict<'_> = names.iter().map(|name| (name.as_str(), view())).collect();
    Saver::new().save_dict(&state, Arc::clone(&store)).expect("saves");
    let ranks = 2 * thread::available_parallelism().map_or(2, usize::from);
    let outcomes = ThreadGroup::run(ranks, |rank| {
        let store = CountingStore::new(Arc::clone(&store));
        let mut loaded = vec![Array1::<f32>::zeros(saved.len()); names.len()];
        let views = loaded.iter_mut().map(|array| TargetTensor::whole(array.view_mut().into_dyn()).expect("a tensor"));
        let target: StateTarget<'_> = names.iter().map(String::as_str).zip(views).collect();
        let place: Arc<dyn Store> = Arc::new(store.clone());
        Loader::new().group(&rank).load_into(target, place).expect("loads");
        assert!(loaded.iter().all(|array| array == saved));
        assert_eq!(store.readers(), HashSet::from([thread::current().id()]));
    });
    outcomes.into_iter().for_each(|outcome| outcome.expect("no panic"));
}
