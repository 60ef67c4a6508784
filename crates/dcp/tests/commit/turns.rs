//! Savers and readers that run at the same time, in an order that a seed decides.
//!
//! Each store operation waits for its turn. When all that run have come to one, one of them is let go: so every order of
//! operations can happen, and each happens again with its seed.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use dcp::{StorageError, Store};
use dcp_storage::{ObjectMeta, Precondition, ReadRange, StorePath, StoreTraits, Upload, Version};

use super::support::{Opened, Place, Save, save, save_alive, storage_error, tells_the_loser};

#[test]
fn savers_over_a_checkpoint_and_readers() {
    for seed in 0..120_u64 {
        let place = if seed.is_multiple_of(8) { Place::disk() } else { Place::memory() };
        save(place.open(), 1, false).expect("saved");
        race(&place, seed, Some(1), true);
    }
}

#[test]
fn savers_into_an_empty_place_and_readers() {
    for seed in 0..80_u64 {
        let place = if seed.is_multiple_of(8) { Place::disk() } else { Place::memory() };
        race(&place, seed, None, false);
    }
}

#[test]
fn overwriting_savers_into_an_empty_place_and_readers() {
    for seed in 1000..1080 {
        race(&Place::memory(), seed, None, true);
    }
}

/// Three savers, one of which saves twice, and two readers.
fn race(place: &Place, seed: u64, old: Option<u32>, overwrite: bool) {
    const SAVERS: u32 = 3;
    let turns = Turns::new(seed, SAVERS as usize + 2);
    let alive = seed.is_multiple_of(2);
    let save: Save = if alive { save_alive } else { save };
    let savers = (0..SAVERS).map(|saver| {
        let numbers = if saver == 0 { vec![10, 11] } else { vec![10 * (saver + 1)] };
        let store = turns.clone().actor(saver as usize, place.open());
        move || {
            let leave = Leave(store.clone());
            let save = |number| (number, save(store.clone(), number, overwrite));
            let outcomes: Vec<_> = numbers.into_iter().map(save).collect();
            drop(leave);
            outcomes
        }
    });
    let readers = (0..2).map(|reader| {
        let store = turns.clone().actor(SAVERS as usize + reader, place.open());
        move || {
            let leave = Leave(store.clone());
            let mut seen = Vec::new();
            for _ in 0..4 {
                match Opened::at(store.clone()) {
                    Ok(opened) => {
                        // Twice: what was open before others saved, must still be what it was.
                        let found = [opened.content(), opened.content()];
                        if let [Ok(first), Ok(second)] = &found {
                            assert_eq!(first, second, "seed {seed}: one opened checkpoint is two");
                        }
                        seen.extend(found);
                    }
                    Err(error) => seen.push(Err(error)),
                }
            }
            drop(leave);
            seen
        }
    });
    let (saved, seen) = thread::scope(|scope| {
        let savers: Vec<_> = savers.map(|saver| scope.spawn(saver)).collect();
        let readers: Vec<_> = readers.map(|reader| scope.spawn(reader)).collect();
        let saved: Vec<_> = savers.into_iter().flat_map(|saver| saver.join().expect("a saver panics")).collect();
        let seen: Vec<_> = readers.into_iter().flat_map(|reader| reader.join().expect("a reader panics")).collect();
        (saved, seen)
    });

    let mut winners = Vec::new();
    for (number, outcome) in &saved {
        match storage_error(outcome) {
            None => winners.push(*number),
            Some(error) if tells_the_loser(error, overwrite, alive) => {}
            Some(other) => panic!("seed {seed}: saver {number} is told {other:?}"),
        }
    }
    assert!(if overwrite { !winners.is_empty() } else { winners.len() == 1 }, "seed {seed}: {winners:?}");
    let found = place.content().unwrap_or_else(|| panic!("seed {seed}: nothing is there"));
    assert!(winners.contains(&found), "seed {seed}: {found} is there, but {winners:?} were told so");
    for found in seen {
        match found {
            Ok(number) => assert!(Some(number) == old || winners.contains(&number), "seed {seed}: {number} was seen"),
            Err(StorageError::Overwritten { .. }) if overwrite => {}
            Err(StorageError::NoCheckpoint { .. }) if old.is_none() => {}
            Err(other) => panic!("seed {seed}: a reader is told {other:?}"),
        }
    }
    save(place.open(), 5, true).expect("saved");
    assert_eq!(place.content(), Some(5));
    place.assert_tidy(&format!("seed {seed}"));
}

/// Whose turn it is.
#[derive(Debug)]
struct Turns {
    state: Mutex<State>,
    /// One for each actor.
    called: Vec<Condvar>,
}

#[derive(Debug)]
struct State {
    random: u64,
    /// In how many of 8 cases the one who had the last turn has the next one too: with many, others stall for long.
    stay: u64,
    /// How many neither wait nor have left.
    running: usize,
    waiting: BTreeSet<usize>,
    last: usize,
    next: Option<usize>,
}

impl Turns {
    fn new(seed: u64, actors: usize) -> Arc<Self> {
        let random = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (waiting, next) = (BTreeSet::new(), None);
        let state = State { random, stay: seed % 8, running: actors, waiting, last: 0, next };
        let called = (0..actors).map(|_| Condvar::new()).collect();
        Arc::new(Self { state: Mutex::new(state), called })
    }

    fn actor(self: Arc<Self>, id: usize, inner: Arc<dyn Store>) -> Arc<Actor> {
        Arc::new(Actor { id, inner, turns: self })
    }

    fn await_turn(&self, id: usize) {
        let mut state = self.state();
        state.waiting.insert(id);
        state.running -= 1;
        self.choose(&mut state);
        while state.next != Some(id) {
            let (now, timeout) =
                self.called[id].wait_timeout(state, Duration::from_secs(60)).unwrap_or_else(PoisonError::into_inner);
            state = now;
            assert!(!timeout.timed_out(), "nobody moves: {state:?}");
        }
        state.next = None;
        state.last = id;
        state.waiting.remove(&id);
        state.running += 1;
    }

    fn leave(&self) {
        let mut state = self.state();
        state.running -= 1;
        self.choose(&mut state);
    }

    fn choose(&self, state: &mut State) {
        if state.running > 0 || state.waiting.is_empty() {
            return;
        }
        let stays = state.waiting.contains(&state.last) && state.random() % 8 < state.stay;
        let chosen = (state.random() % state.waiting.len() as u64) as usize;
        state.next = if stays { Some(state.last) } else { state.waiting.iter().nth(chosen).copied() };
        state.next.iter().for_each(|&next| self.called[next].notify_all());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 16
    }
}

/// The store of one saver or reader. Objects are read whole in the steps of the default, so that others come in between.
#[derive(Debug)]
struct Actor {
    id: usize,
    inner: Arc<dyn Store>,
    turns: Arc<Turns>,
}

/// Ends an actor's part, also when it panics.
struct Leave(Arc<Actor>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.turns.leave();
    }
}

#[async_trait]
impl Store for Actor {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn traits(&self) -> StoreTraits {
        self.inner.traits()
    }

    async fn head(&self, path: &StorePath) -> Result<ObjectMeta, StorageError> {
        self.turns.await_turn(self.id);
        self.inner.head(path).await
    }

    async fn size(&self, path: &StorePath) -> Result<u64, StorageError> {
        self.turns.await_turn(self.id);
        self.inner.size(path).await
    }

    async fn read(&self, path: &StorePath, ranges: &mut [ReadRange<'_>]) -> Result<(), StorageError> {
        self.turns.await_turn(self.id);
        self.inner.read(path, ranges).await
    }

    async fn create(&self, path: &StorePath, expected_size: Option<u64>) -> Result<Box<dyn Upload>, StorageError> {
        self.turns.await_turn(self.id);
        let inner = self.inner.create(path, expected_size).await?;
        Ok(Box::new(ActorUpload { id: self.id, inner, turns: self.turns.clone() }))
    }

    async fn publish(&self, path: &StorePath, content: &[u8], when: Precondition) -> Result<Version, StorageError> {
        self.turns.await_turn(self.id);
        self.inner.publish(path, content, when).await
    }

    async fn list(&self, prefix: Option<&StorePath>) -> Result<Vec<ObjectMeta>, StorageError> {
        self.turns.await_turn(self.id);
        self.inner.list(prefix).await
    }

    async fn delete(&self, path: &StorePath) -> Result<(), StorageError> {
        self.turns.await_turn(self.id);
        self.inner.delete(path).await
    }

    async fn unfinished(&self) -> Result<Vec<StorePath>, StorageError> {
        self.turns.await_turn(self.id);
        self.inner.unfinished().await
    }

    async fn discard_unfinished(&self, path: &StorePath) -> Result<(), StorageError> {
        self.turns.await_turn(self.id);
        self.inner.discard_unfinished(path).await
    }
}

struct ActorUpload {
    id: usize,
    inner: Box<dyn Upload>,
    turns: Arc<Turns>,
}

#[async_trait]
impl Upload for ActorUpload {
    async fn write(&mut self, data: &[u8]) -> Result<(), StorageError> {
        // Nobody can see it: no turn is needed.
        self.inner.write(data).await
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta, StorageError> {
        self.turns.await_turn(self.id);
        self.inner.finish().await
    }

    async fn abort(self: Box<Self>) -> Result<(), StorageError> {
        self.turns.await_turn(self.id);
        self.inner.abort().await
    }
}
