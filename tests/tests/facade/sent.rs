//! How much ranks send each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dcp::crates::dcp_collective::{Tag, TagSource};
use dcp::{
    BufferPlace, Collective, CollectiveError, DType, HeldPart, Loader, LocalTensor, MemoryStore, Region, Saver,
    StateDict, StateTarget, TargetTensor, TensorSpec, ThreadGroup, View, ViewMut,
};
use ndarray::Array2;

const TENSORS: u32 = 30;

/// A rank that counts the bytes that it sends.
struct Counting<'c> {
    rank: &'c dyn Collective,
    sent: &'c AtomicU64,
}

impl Collective for Counting<'_> {
    fn rank(&self) -> usize {
        self.rank.rank()
    }

    fn size(&self) -> usize {
        self.rank.size()
    }

    fn send(&self, to: usize, tag: Tag, message: Vec<u8>) -> Result<(), CollectiveError> {
        self.sent.fetch_add(message.len() as u64, Ordering::Relaxed);
        self.rank.send(to, tag, message)
    }

    fn recv(&self, from: usize, tag: Tag, until: Instant) -> Result<Vec<u8>, CollectiveError> {
        self.rank.recv(from, tag, until)
    }

    fn tags(&self) -> &TagSource {
        self.rank.tags()
    }
}

/// Saves and loads tensors of which each rank has one row, as explicit regions; the bytes that were sent, for each rank.
fn sent_per_rank(ranks: u32) -> u64 {
    let (store, sent) = (MemoryStore::new(), AtomicU64::new(0));
    let outcomes = ThreadGroup::run(ranks as usize, |rank| {
        let counting = Counting { rank: &rank, sent: &sent };
        let row = rank.rank() as u32;
        let spec = {
            let region = Region::new([u64::from(row), 0], [1, 3]).expect("region");
            let parts = [HeldPart { region, place: BufferPlace::Box(vec![0, 0]) }];
            TensorSpec::regions(DType::UInt32, [u64::from(ranks), 3], parts).expect("spec")
        };
        let held: Vec<_> = (0..TENSORS).map(|number| Array2::from_elem((1, 3), 1000 * number + row)).collect();
        let mut loaded = vec![Array2::<u32>::zeros((1, 3)); TENSORS as usize];
        let (mut state, mut target) = (StateDict::new(), StateTarget::new());
        for (number, (held, loaded)) in held.iter().zip(&mut loaded).enumerate() {
            let view = View::from_array(held.view().into_dyn());
            state.insert(format!("tensor_{number}"), LocalTensor::new(spec.clone(), view));
            let view = ViewMut::from_array(loaded.view_mut().into_dyn());
            target.insert(format!("tensor_{number}"), TargetTensor::new(spec.clone(), view));
        }
        Saver::new().group(&counting).save_dict(&state, store.clone()).expect("saves");
        Loader::new().group(&counting).load_into(target, store.clone()).expect("loads");
        assert_eq!(held, loaded);
    });
    outcomes.into_iter().for_each(|outcome| outcome.expect("no panic"));
    sent.into_inner() / u64::from(ranks)
}

/// Regions that each rank declares are told to the coordinator, and not to the other ranks.
#[test]
fn what_is_sent_for_a_rank_does_not_grow_with_the_ranks() {
    let [few, many] = [8, 64].map(sent_per_rank);
    assert!(few < many * 3 / 2 && many < few * 3 / 2, "{few} bytes for each of 8, {many} for each of 64");
}
