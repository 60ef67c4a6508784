//! A rank fails: all the others are told which one and why, and the checkpoint that was there stays.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::Duration;

use dcp::crates::dcp_storage::DataName;
use dcp::{
    Checkpoint, Collective, CollectiveError, DType, DataSource, DeviceMesh, Error, Loaded, Loader, LocalTensor,
    MemoryStore, Placement, PlanError, Saver, StateDict, StateTarget, Stateful, StatefulError, StorageError,
    TargetLeaf, TensorSpec, View,
};
use dcp_tests::{Group, contents};
use dcp_types::DataError;

const RANKS: u32 = 4;
/// Bytes of a rank's part.
const PART: u64 = 300_000;
/// How long ranks wait for one that stalls. Long enough for any other thread to get its turn.
const PATIENCE: Duration = Duration::from_secs(2);

type Files = BTreeMap<String, Vec<u8>>;
type Outcome = std::thread::Result<Result<(), Error>>;

/// How the source of a rank behaves.
enum Behaviour {
    Sound,
    Fails,
    Panics,
    /// Ends when the sender is gone.
    Stalls(Mutex<Receiver<()>>),
}

struct Part<'a>(&'a Behaviour);

impl DataSource for Part<'_> {
    fn dtype(&self) -> DType {
        DType::UInt8
    }

    fn shape(&self) -> Vec<u64> {
        vec![PART]
    }

    fn read_at(&self, _offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        match self.0 {
            Behaviour::Sound => {}
            Behaviour::Fails => return Err("the device has fallen off the bus".into()),
            Behaviour::Panics => panic!("on purpose"),
            Behaviour::Stalls(until) => {
                until.lock().unwrap_or_else(PoisonError::into_inner).recv().expect_err("nothing is ever sent");
            }
        }
        out.fill(7);
        Ok(())
    }
}

fn spec(mesh: &Arc<DeviceMesh>) -> TensorSpec {
    TensorSpec::sharded(DType::UInt8, [PART * u64::from(RANKS)], mesh, [Placement::Shard(0)]).expect("spec")
}

/// A store with a checkpoint, and what is in it.
fn with_old() -> (MemoryStore, Files) {
    let store = MemoryStore::new();
    Saver::new().save_dict(&StateDict::new().with("old", 1), store.clone()).expect("saves");
    let before = contents(&store);
    (store, before)
}

/// What must hold after any failure: the old checkpoint is there, untouched.
fn assert_old(store: &MemoryStore, before: &Files) {
    let after = contents(store);
    assert!(before.iter().all(|(name, content)| after.get(name) == Some(content)), "{:?}", after.keys());
    let checkpoint = Checkpoint::open(store.clone()).expect("opens");
    assert_eq!(checkpoint.value("old").expect("reads"), 1.into());
}

/// Where a rank could not be waited for, what it may still have written is on record: a later save finds it.
fn assert_claimed(store: &MemoryStore) {
    let files = contents(store);
    for name in files.keys().filter_map(|name| DataName::parse(&name.parse().expect("a path"))) {
        let claim = format!(".dcp-claim-{}", name.generation);
        assert!(files.contains_key(&claim), "{name} is nobody's: {:?}", files.keys());
    }
}

/// Saves over the old checkpoint; each rank's part behaves as told. A rank that has returned stays with the group
/// until all have, so that nobody is told of it by its leaving; but not one that panics.
fn save(store: &MemoryStore, coordinator: usize, behaviour: impl Fn(u32) -> Behaviour + Sync) -> Vec<Outcome> {
    let mesh = Arc::new(DeviceMesh::new([RANKS]).expect("mesh"));
    let together = Barrier::new(RANKS as usize);
    Group::whole(RANKS).try_run(|collective, rank| {
        let behaviour = behaviour(rank);
        let tensor = LocalTensor::lazy(spec(&mesh), Part(&behaviour));
        let state = StateDict::new().with("tensor", tensor);
        let saver = Saver::new().group(collective).coordinator(coordinator).patience(PATIENCE).overwrite(true);
        let mut panic = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| saver.save_dict(&state, store.clone()).map(|_| ())));
        let outcome = outcome.unwrap_or_else(|caught| {
            panic = Some(caught);
            Ok(())
        });
        together.wait();
        if let Some(panic) = panic {
            std::panic::resume_unwind(panic);
        }
        outcome
    })
}

/// The errors of all ranks but some.
fn errors_but(outcomes: Vec<Outcome>, but: &[u32]) -> Vec<Error> {
    let others = (0..).zip(outcomes).filter(|(rank, _)| !but.contains(rank));
    let errors = others.map(|(_, outcome)| outcome.expect("no panic").expect_err("nobody is told of success"));
    errors.collect()
}

#[test]
fn a_wrong_buffer_is_named_before_anything_is_written() {
    let (store, before) = with_old();
    let mesh = Arc::new(DeviceMesh::new([RANKS]).expect("mesh"));
    let bytes = vec![0; PART as usize];
    let outcomes = Group::whole(RANKS).try_run(|collective, rank| {
        let len = if rank == 2 { PART - 1 } else { PART };
        let view = View::from_bytes(DType::UInt8, &[len], &bytes[..len as usize]).expect("view");
        let model = StateDict::new().with("weight", LocalTensor::new(spec(&mesh), view));
        let state = StateDict::new().with("model", model);
        Saver::new().group(collective).overwrite(true).save_dict(&state, store.clone()).map(|_| ())
    });
    for (rank, error) in (0..).zip(errors_but(outcomes, &[])) {
        match error {
            Error::Plan(error) if rank == 2 => {
                assert!(matches!(&*error, PlanError::Types { .. }));
                assert_eq!(
                    error.to_string(),
                    "model.weight: the local buffer has shape [299999], but this part of the tensor has [300000]"
                );
            }
            Error::Collective(CollectiveError::Failed { failures, .. }) => {
                let [failure] = &failures[..] else { panic!("{failures:?}") };
                assert_eq!(
                    (failure.rank, failure.kind.as_str(), failure.fqn.as_deref()),
                    (2, "types", Some("model.weight"))
                );
            }
            other => panic!("rank {rank} is told {other}"),
        }
    }
    assert_eq!(contents(&store), before);
}

#[test]
fn ranks_that_contradict_each_other_are_named_before_anything_is_written() {
    let (store, before) = with_old();
    let outcomes = Group::whole(3).try_run(|collective, rank| {
        let state = StateDict::new().with("seed", i64::from(rank / 2));
        let saver = Saver::new().group(collective).coordinator(1).overwrite(true);
        saver.save_dict(&state, store.clone()).map(|_| ())
    });
    for (rank, error) in (0..).zip(errors_but(outcomes, &[])) {
        match error {
            Error::Plan(error) if rank == 1 => {
                assert!(matches!(&*error, PlanError::ValueDiffers { fqn, .. } if fqn.as_str() == "seed"), "{error}");
            }
            other => assert!(other.to_string().contains("seed: the value on rank"), "{other}"),
        }
    }
    assert_eq!(contents(&store), before);
}

#[test]
fn an_error_of_a_source_is_an_error_on_all() {
    for (failing, coordinator) in [(1, 0), (3, 2)] {
        let (store, before) = with_old();
        let behaviour = |rank| if rank == failing { Behaviour::Fails } else { Behaviour::Sound };
        let mut outcomes = save(&store, coordinator, behaviour);
        let own = outcomes[failing as usize].as_mut().expect("no panic").as_ref().expect_err("its source failed");
        assert!(matches!(own, Error::Storage(error) if matches!(**error, StorageError::Source { .. })), "{own}");
        for error in errors_but(outcomes, &[failing]) {
            assert_eq!(error.ranks(), [failing], "{error}");
            assert!(error.to_string().contains("the device has fallen off the bus"), "{error}");
        }
        // All ranks have stopped: nothing is left, not even a claim.
        assert_old(&store, &before);
        assert_eq!(contents(&store), before);
    }
}

#[test]
fn the_coordinator_fails_like_any_other() {
    let (store, before) = with_old();
    let outcomes = save(&store, 0, |rank| if rank == 0 { Behaviour::Fails } else { Behaviour::Sound });
    for error in errors_but(outcomes, &[0]) {
        assert_eq!(error.ranks(), [0], "{error}");
    }
    assert_old(&store, &before);
    assert_claimed(&store);
    assert!(contents(&store).keys().all(|name| before.contains_key(name) || name.starts_with(".dcp-claim")));
}

#[test]
fn a_rank_that_panics_is_named_by_all_others() {
    for (panicking, coordinator) in [(1, 0), (0, 0), (3, 2)] {
        let (store, before) = with_old();
        let behaviour = |rank| if rank == panicking { Behaviour::Panics } else { Behaviour::Sound };
        let outcomes = save(&store, coordinator, behaviour);
        assert!(outcomes[panicking as usize].is_err(), "the panic goes on");
        for error in errors_but(outcomes, &[panicking]) {
            assert_eq!(error.ranks(), [panicking], "{error}");
        }
        assert_old(&store, &before);
        assert_claimed(&store);
    }
}

#[test]
fn a_rank_that_panics_before_it_saves_is_named_by_all_others() {
    let (store, before) = with_old();
    let outcomes = Group::whole(RANKS).try_run(|collective, rank| {
        assert_ne!(rank, 2, "on purpose");
        let saver = Saver::new().group(collective).overwrite(true);
        saver.save_dict(&StateDict::new().with("new", 2), store.clone()).map(|_| ())
    });
    for error in errors_but(outcomes, &[2]) {
        assert_eq!(error.ranks(), [2], "{error}");
    }
    assert_eq!(contents(&store), before);
}

/// Saves where some ranks stall until all others have returned.
fn save_with_stalls(store: &MemoryStore, coordinator: usize, stalls: &[u32], fails: Option<u32>) -> Vec<Outcome> {
    let mesh = Arc::new(DeviceMesh::new([RANKS]).expect("mesh"));
    let (senders, receivers): (Vec<Sender<()>>, Vec<_>) = (0..RANKS).map(|_| channel()).unzip();
    let receivers = Mutex::new(receivers.into_iter().map(Some).collect::<Vec<_>>());
    // Each of the others lets go of its hold on the stalled ones as it returns.
    let holds =
        Mutex::new((0..RANKS).map(|rank| (!stalls.contains(&rank)).then(|| senders.clone())).collect::<Vec<_>>());
    drop(senders);
    Group::whole(RANKS).try_run(|collective, rank| {
        let receiver = receivers.lock().unwrap_or_else(PoisonError::into_inner)[rank as usize].take();
        let hold = holds.lock().unwrap_or_else(PoisonError::into_inner)[rank as usize].take();
        let behaviour = match receiver {
            Some(until) if stalls.contains(&rank) => Behaviour::Stalls(Mutex::new(until)),
            _ if fails == Some(rank) => Behaviour::Fails,
            _ => Behaviour::Sound,
        };
        let state = StateDict::new().with("tensor", LocalTensor::lazy(spec(&mesh), Part(&behaviour)));
        let saver = Saver::new().group(collective).coordinator(coordinator).patience(PATIENCE).overwrite(true);
        let outcome = saver.save_dict(&state, store.clone()).map(|_| ());
        drop(hold);
        outcome
    })
}

#[test]
fn a_rank_that_stalls_is_named_by_all_others() {
    for (stalled, coordinator) in [(1, 0), (2, 2)] {
        let (store, before) = with_old();
        let outcomes = save_with_stalls(&store, coordinator, &[stalled], None);
        let stalled_outcome = outcomes[stalled as usize].as_ref().expect("no panic");
        assert!(stalled_outcome.is_err(), "it is told as soon as it asks");
        for error in errors_but(outcomes, &[stalled]) {
            assert_eq!(error.ranks(), [stalled], "{error}");
            let silent = matches!(&error, Error::Collective(CollectiveError::Silent { .. }));
            assert!(silent, "{error}");
        }
        assert_old(&store, &before);
        assert_claimed(&store);
    }
}

#[test]
fn one_rank_fails_while_another_stalls() {
    let (store, before) = with_old();
    let outcomes = save_with_stalls(&store, 0, &[2], Some(1));
    for (rank, error) in [0, 3].into_iter().zip(errors_but(outcomes, &[1, 2])) {
        assert!(error.ranks().contains(&2), "rank {rank} is told {error}");
    }
    assert_old(&store, &before);
    // The one that stalled went on writing when the save was over.
    assert_claimed(&store);
}

#[test]
fn the_coordinator_fails_while_another_rank_stalls() {
    let (store, before) = with_old();
    let outcomes = save_with_stalls(&store, 0, &[2], Some(0));
    for error in errors_but(outcomes, &[0, 2]) {
        assert!(error.ranks().iter().any(|rank| [0, 2].contains(rank)), "{error}");
    }
    assert_old(&store, &before);
    assert_claimed(&store);
}

/// Runs what one rank cannot even begin; the ranks stay together until all have returned. Nobody has to wait for patience to
/// run out: it is longer than the test may take.
fn one_cannot_begin(attempt: impl Fn(&dyn Collective, u32) -> Result<(), Error> + Sync) -> Vec<Error> {
    let together = Barrier::new(3);
    let outcomes = Group::whole(3).try_run(|collective, rank| {
        let outcome = attempt(collective, rank);
        together.wait();
        outcome
    });
    errors_but(outcomes, &[])
}

/// The error of rank 1 is known to all.
fn assert_told(errors: &[Error], kind: &str) {
    for (rank, error) in (0..).zip(errors) {
        match error {
            Error::Collective(CollectiveError::Failed { failures, .. }) if rank != 1 => {
                let [failure] = &failures[..] else { panic!("{failures:?}") };
                assert_eq!((failure.rank, failure.kind.as_str()), (1, kind));
            }
            own => assert_eq!(rank, 1, "{own}"),
        }
    }
}

#[test]
fn a_checkpoint_that_one_rank_does_not_find_is_an_error_on_all() {
    let (store, _) = with_old();
    let errors = one_cannot_begin(|collective, rank| {
        let store = if rank == 1 { MemoryStore::new() } else { store.clone() };
        let target = StateTarget::new().with("old", TargetLeaf::Value);
        Loader::new().group(collective).load_into(target, store).map(|_| ())
    });
    assert!(matches!(&errors[1], Error::Storage(error) if error.kind() == "no-checkpoint"));
    assert_told(&errors, "no-checkpoint");
}

#[test]
fn a_place_that_one_rank_cannot_name_is_an_error_on_all() {
    let errors = one_cannot_begin(|collective, rank| {
        let place: dcp::Location = if rank == 1 { "ftp://host".into() } else { MemoryStore::new().into() };
        Saver::new().group(collective).save_dict(&StateDict::new().with("step", 1), place).map(|_| ())
    });
    assert!(matches!(&errors[1], Error::Location { .. }));
    assert_told(&errors, "location");
}

/// An object of which one step fails on one rank.
struct Moody {
    fails_at: &'static str,
    old: i64,
}

impl Moody {
    fn step(&self, name: &'static str) -> Result<(), StatefulError> {
        if self.fails_at == name { Err(dcp_types::TypesError::TooDeep(1).into()) } else { Ok(()) }
    }
}

impl Stateful for Moody {
    fn state_dict(&self) -> Result<StateDict<'_>, StatefulError> {
        self.step("state_dict")?;
        Ok(StateDict::new().with("old", self.old))
    }

    fn state_target(&mut self) -> Result<StateTarget<'_>, StatefulError> {
        self.step("state_target")?;
        Ok(StateTarget::new().with("old", TargetLeaf::Value))
    }

    fn load_state_dict(&mut self, mut loaded: Loaded) -> Result<(), StatefulError> {
        self.step("load_state_dict")?;
        self.old = dcp::crates::dcp_stateful::value(&mut loaded, "old")?;
        Ok(())
    }
}

#[test]
fn an_error_of_an_object_is_an_error_on_all() {
    let (store, before) = with_old();
    let moody = |rank, fails_at| Moody { fails_at: if rank == 1 { fails_at } else { "" }, old: 5 };
    let errors = one_cannot_begin(|collective, rank| {
        let saver = Saver::new().group(collective).overwrite(true);
        saver.save(&moody(rank, "state_dict"), store.clone()).map(|_| ())
    });
    assert_told(&errors, "stateful");
    assert_eq!(contents(&store), before);
    for step in ["state_target", "load_state_dict"] {
        let errors = one_cannot_begin(|collective, rank| {
            Loader::new().group(collective).load(&mut moody(rank, step), store.clone()).map(|_| ())
        });
        assert!(matches!(errors[1], Error::Stateful(_)), "{}", errors[1]);
        assert_told(&errors, "stateful");
    }
}
