//! Several ranks, of which one fails.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dcp::{
    Checkpoint, Collective, ComposedWriter, DType, DataSource, DeviceMesh, Error, LocalTensor, Placement, SaveReport,
    Saver, StateDict, StorageError, Store, TensorSpec, ThreadGroup,
};
use dcp_collective::CollectiveError;
use dcp_storage::conformance::{Fault, FaultStore, Faults};
use dcp_types::DataError;

use super::support::{Place, save};

const RANKS: usize = 3;
/// Bytes of each rank's part: some pieces of writing.
const PART: u64 = 3 << 20;

/// The part of a rank. On one rank it ends with an error, half-way.
struct Part {
    fails: bool,
}

impl DataSource for Part {
    fn dtype(&self) -> DType {
        DType::UInt8
    }

    fn shape(&self) -> Vec<u64> {
        vec![PART]
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), DataError> {
        if self.fails && offset > PART / 2 {
            return Err("the device has fallen off the bus".into());
        }
        out.fill(7);
        Ok(())
    }
}

#[test]
fn one_rank_fails_in_the_midst_of_writing() {
    for like in Place::each() {
        for (failing, coordinator) in (0..RANKS).flat_map(|failing| [(failing, 0), (failing, 2)]) {
            for old in [None, Some(1)] {
                let place = like.another();
                if let Some(old) = old {
                    save(place.open(), old, true).expect("saved");
                }
                let before = place.ours();
                let outcomes = save_together(place.open(), Some(failing), coordinator);
                let what = format!("rank {failing} fails, rank {coordinator} leads");
                for (rank, outcome) in outcomes.into_iter().enumerate() {
                    match outcome.expect_err("nobody is told of success") {
                        Error::Storage(error) if rank == failing => {
                            assert!(matches!(*error, StorageError::Source { .. }), "{what}: {error}");
                        }
                        Error::Collective(CollectiveError::Failed { failures, .. }) if rank != failing => {
                            let [failure] = &failures[..] else { panic!("{what}: {failures:?}") };
                            assert_eq!((failure.rank, failure.kind.as_str()), (failing as u32, "source"), "{what}");
                        }
                        other => panic!("{what}: rank {rank} is told {other}"),
                    }
                }
                let mut after = place.ours();
                if failing == coordinator {
                    // It is not told whether the others have ended, so its claim stays until it expires.
                    after.retain(|name| name != &format!(".dcp-claim-{}", u32::from(old.is_some())));
                }
                assert_eq!(after, before, "{what}: all files of the failed save are gone");
                assert_eq!(place.content(), old, "{what}");
                save(place.open(), 3, true).expect("saved");
                assert_eq!(place.content(), Some(3), "{what}");
                place.assert_tidy(&what);
            }
        }
    }
}

/// The operations of several ranks come in any order; whichever fails, the outcome is the same everywhere and true.
#[test]
fn any_operation_of_several_ranks_fails() {
    let count = {
        let (place, faults) = (prepared(), Faults::none());
        let outcomes = save_together(Arc::new(FaultStore::new(place.open(), faults.clone())), None, 0);
        outcomes.into_iter().for_each(|outcome| drop(outcome.expect("nothing fails")));
        faults.count()
    };
    for k in 0..count {
        for fault in [Fault::Io(io::ErrorKind::TimedOut), Fault::LoseResponse, Fault::Stop] {
            let (place, what) = (prepared(), format!("{fault:?} at {k} of {count}"));
            let store = FaultStore::new(place.open(), Faults::none().at(k, fault));
            let outcomes = save_together(Arc::new(store), None, 0);
            let told: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
            assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{what}: {told:?}");
            let unknown = matches!(&outcomes[0], Err(Error::Storage(error))
                if matches!(**error, StorageError::CommitUnknown { .. }));
            assert!(unknown || told[0] == is_new(&place), "{what}: {:?}", outcomes[0]);
            save(place.open(), 3, true).expect("saved");
            assert_eq!(place.content(), Some(3), "{what}");
            place.assert_tidy(&what);
        }
    }
}

/// Whether the checkpoint is the one of several ranks, or the one before; all of it is one of the two.
fn is_new(place: &Place) -> bool {
    let checkpoint = Checkpoint::open(place.open()).expect("opens");
    if checkpoint.metadata().find("step").is_none() {
        assert_eq!(place.content(), Some(1));
        return false;
    }
    let weight = checkpoint.tensor("weight").expect("reads");
    assert_eq!(weight.bytes().len() as u64, PART * RANKS as u64);
    assert!(weight.bytes().iter().all(|&byte| byte == 7));
    assert_eq!(checkpoint.value("step").expect("reads"), 1.into());
    true
}

fn prepared() -> Place {
    let place = Place::memory();
    save(place.open(), 1, true).expect("saved");
    place
}

/// Every rank saves its part of one tensor, and its own value.
fn save_together(store: Arc<dyn Store>, failing: Option<usize>, coordinator: usize) -> Vec<Result<SaveReport, Error>> {
    let mesh = Arc::new(DeviceMesh::new([RANKS as u32]).expect("mesh"));
    let shape = [PART * RANKS as u64];
    let spec = TensorSpec::sharded(DType::UInt8, shape, &mesh, [Placement::Shard(0)]).expect("spec");
    let format = Arc::new(crate::kind::Kind::new());
    let writer = ComposedWriter::new(format, store).overwrite(true).claim_lifetime(Duration::ZERO);
    let outcomes = ThreadGroup::run(RANKS, |rank| {
        let part = Part { fails: failing == Some(rank.rank()) };
        let state = StateDict::new().with("weight", LocalTensor::lazy(spec.clone(), part)).with("step", 1);
        Saver::new().group(&rank).coordinator(coordinator).threads(1).save_to(&writer, &state)
    });
    outcomes.into_iter().map(|outcome| outcome.expect("no panic")).collect()
}
