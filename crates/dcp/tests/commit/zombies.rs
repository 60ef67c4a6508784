//! Savers that others took for dead, and that wake up again.

use dcp::{ComposedWriter, StorageError, StorageWriter};
use dcp_storage::conformance::block_on;
use dcp_storage::{Io, Precondition, SaveToken, Store, StorePath, WriteResult, WriteSource};
use dcp_types::{Entry, EntryKind, GlobalPlan, Metadata, Owners, RankSet, Source, StateDict, WriteItem, flatten_state};

use super::support::{DAY, Place, generation, save, writer};

/// A saver whose ranks are steered by hand: two ranks that write a value each.
pub(crate) struct Zombie {
    writer: ComposedWriter,
    plan: GlobalPlan,
    token: SaveToken,
    results: Vec<(u32, WriteResult)>,
}

impl Zombie {
    pub(crate) fn rise(place: &Place) -> Self {
        let writer = writer(place.open(), true);
        let state = flatten_state(StateDict::new().with("a", 1).with("b", 2)).expect("flat");
        let entries = state.values().map(|(path, _)| Entry { path: path.clone(), kind: EntryKind::Value });
        let metadata = Metadata::new(entries).expect("distinct names");
        let plan = GlobalPlan::new(metadata, vec![Owners::One(0), Owners::One(1)]).expect("a plan");
        let token = block_on(writer.begin(&[0, 1].into_iter().collect::<RankSet>())).expect("begins");
        Self { writer, plan, token, results: Vec::new() }
    }

    pub(crate) fn write(&mut self, rank: u32) {
        let io = Io::new().expect("threads");
        let written = block_on(self.writer.write_data(&self.token, &self.plan.of_rank(rank), &Groans, &io));
        self.results.push((rank, written.expect("written")));
    }

    pub(crate) fn finish(&self) -> Result<(), StorageError> {
        self.finish_with(&Io::new().expect("threads"))
    }

    pub(crate) fn finish_with(&self, io: &Io<'_>) -> Result<(), StorageError> {
        block_on(self.writer.finish(&self.token, &self.plan, &self.results, io))
    }

    pub(crate) fn abort(&self, ranks_stopped: bool) {
        block_on(self.writer.abort(&self.token, ranks_stopped)).expect("aborted");
    }
}

/// What they have to say.
struct Groans;

impl WriteSource for Groans {
    fn source(&self, _: &WriteItem) -> Result<Source<'_>, StorageError> {
        Ok(Source::Value(std::borrow::Cow::Owned("groans".into())))
    }
}

/// What the others do while the saver is away.
const ABSENCES: [&[u32]; 4] = [&[], &[2], &[2, 3], &[2, 3, 4]];

#[test]
fn it_wakes_up_at_any_step_and_fails() {
    for like in Place::each() {
        for saves in &ABSENCES[1..] {
            for asleep in 0..4 {
                let place = like.another();
                save(place.open(), 1, true).expect("saved");
                let mut zombie = Zombie::rise(&place);
                let what = format!("asleep at step {asleep} while {saves:?} are saved");
                for step in 0..4 {
                    if step == asleep {
                        saves.iter().for_each(|&number| drop(save(place.open(), number, true).expect("saved")));
                    }
                    match step {
                        0 | 1 => zombie.write(step),
                        2 => {
                            let told = zombie.finish();
                            if asleep < 3 {
                                assert!(
                                    matches!(told, Err(StorageError::PreconditionFailed { .. })),
                                    "{what}: {told:?}"
                                );
                            } else {
                                told.expect("it was awake when it committed");
                            }
                        }
                        _ => zombie.abort(true),
                    }
                }
                assert_eq!(place.content(), saves.last().copied(), "{what}");
                place.assert_tidy(&what);
            }
        }
    }
}

/// Its claim has expired and is removed, then its number could be taken again: but nobody does.
#[test]
fn its_generation_is_nobody_elses() {
    let place = Place::memory();
    save(place.open(), 1, true).expect("saved");
    let mut zombies: Vec<Zombie> = (0..3).map(|_| Zombie::rise(&place)).collect();
    let mut seen = vec![generation(&*place.open())];
    for number in 2..6 {
        save(place.open(), number, true).expect("saved");
        seen.push(generation(&*place.open()));
        if let Some(mut zombie) = zombies.pop() {
            zombie.write(0);
            zombie.write(1);
            zombie.finish().expect_err("others were first");
        }
        assert_eq!(place.content(), Some(number));
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "generations only rise: {seen:?}");
    // None of them has tidied up.
    save(place.open(), 6, true).expect("saved");
    place.assert_tidy("what dead savers wrote without a claim is removed");
}

/// A straggling rank writes after its own coordinator has given up.
#[test]
fn a_rank_writes_after_the_abort() {
    for like in Place::each() {
        for saves in ABSENCES {
            let place = like.another();
            save(place.open(), 1, true).expect("saved");
            let mut zombie = Zombie::rise(&place);
            zombie.write(0);
            zombie.abort(false);
            saves.iter().for_each(|&number| drop(save(place.open(), number, true).expect("saved")));
            zombie.write(1);
            assert_eq!(place.content(), saves.last().copied().or(Some(1)));
            // Two more: the first of them may find the claim of the straggler, the second one its file alone.
            save(place.open(), 8, true).expect("saved");
            save(place.open(), 9, true).expect("saved");
            assert_eq!(place.content(), Some(9));
            place.assert_tidy(&format!("{saves:?}"));
        }
    }
}

/// Whoever aborts twice does not remove what the next one writes under the same number.
#[test]
fn a_second_abort_is_harmless() {
    for stopped in [true, false] {
        let place = Place::memory();
        save(place.open(), 1, true).expect("saved");
        let mut first = Zombie::rise(&place);
        first.write(0);
        first.abort(true);
        let mut second = Zombie::rise(&place);
        second.write(0);
        first.abort(stopped);
        second.write(1);
        second.finish().expect("nothing of it was removed");
        first.abort(stopped);
        second.abort(stopped);
        let names = place.ours();
        for name in ["__0_0.g1.distcp", "__1_0.g1.distcp", ".dcp-claim-1", crate::kind::INDEX] {
            assert!(names.iter().any(|found| found == name), "{name} of {names:?}");
        }
    }
}

/// A save that is given up after it has committed, and cannot read back what it has published: it may be in use.
#[test]
fn files_of_an_index_that_cannot_be_read_stay() {
    for like in Place::each() {
        let place = like.another();
        let mut saver = Zombie::rise(&place);
        saver.write(0);
        saver.write(1);
        saver.finish().expect("committed");
        let index = StorePath::parse(crate::kind::INDEX).expect("valid");
        block_on(place.open().publish(&index, b"what a proxy says", Precondition::None)).expect("published");
        let before = place.ours();
        let outcome = block_on(saver.writer.abort(&saver.token, true));
        assert!(outcome.is_err(), "it cannot know");
        assert_eq!(place.ours(), before);
    }
}

/// A rank that is late with its part of a save that was never given up: nothing depends on how late.
#[test]
fn nobody_may_take_a_live_claim() {
    let place = Place::memory();
    save(place.open(), 1, true).expect("saved");
    let alive = writer(place.open(), true).claim_lifetime(DAY);
    let token = block_on(alive.begin(&RankSet::default())).expect("begins");
    let before = place.ours();
    save(place.open(), 2, true).expect("saved");
    assert!(place.ours().iter().any(|name| name == ".dcp-claim-1"), "{before:?}, then {:?}", place.ours());
    block_on(alive.abort(&token, true)).expect("aborted");
    place.assert_tidy("the claim is gone with its saver");
    assert_eq!(place.content(), Some(2));
}
