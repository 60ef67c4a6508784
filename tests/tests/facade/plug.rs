//! A writer and a reader that share nothing with the ones that come with the system.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dcp::crates::dcp_storage::{Found, Io, SaveToken, WriteResult, WriteSource};
use dcp::{
    Error, Fqn, Loader, MemoryStore, Metadata, ReadReport, Region, Saver, StateDict, StorageError, StorageReader,
    StorageWriter, WriteReport,
};
use dcp_tests::{Case, Group, Place, cases};
use dcp_types::{Dest, Digest, GlobalPlan, Rank, RankPlan, RankSet, ReadItem, ReadWhat, Source, WriteWhat};
use proptest::prelude::*;

/// Checkpoints by number, each chunk and value by itself.
#[derive(Default)]
struct Vault(Mutex<Shelves>);

#[derive(Default)]
struct Shelves {
    begun: u8,
    /// What is not yet committed: save, entry, region of the chunk (none for a value), bytes.
    loose: Vec<(u8, usize, Option<Region>, Vec<u8>)>,
    committed: Option<(u8, Arc<Metadata>)>,
    aborted: Vec<(u8, bool)>,
    /// How many plans passed by.
    prepared: usize,
}

impl Vault {
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes_of(source: &Source<'_>) -> Result<Vec<u8>, StorageError> {
    let length = source.tensor_type().map_or(0, |(dtype, shape)| shape.iter().product::<u64>() * dtype.size());
    let mut bytes = vec![0; length as usize];
    let read = match source {
        Source::Value(value) => return Ok(value.encode().expect("encodes").to_vec()),
        Source::View(view) => view.read_at(0, &mut bytes).map_err(Into::into),
        Source::Lazy(lazy) => lazy.read_at(0, &mut bytes),
        Source::Shared(shared) => shared.read_at(0, &mut bytes),
        other => Err(format!("{other:?}").into()),
    };
    read.map(|()| bytes).map_err(|source| StorageError::NoSource { fqn: Fqn::from("?"), source })
}

#[async_trait]
impl StorageWriter for Vault {
    async fn begin(&self, _ranks: &RankSet) -> Result<SaveToken, StorageError> {
        let mut shelves = self.shelves();
        shelves.begun += 1;
        Ok(SaveToken(vec![shelves.begun].into()))
    }

    fn prepare_global_plan(&self, plan: GlobalPlan) -> Result<GlobalPlan, StorageError> {
        self.shelves().prepared += 1;
        Ok(plan)
    }

    async fn write_data(
        &self,
        token: &SaveToken,
        plan: &RankPlan,
        source: &dyn WriteSource,
        io: &Io<'_>,
    ) -> Result<WriteResult, StorageError> {
        let mut report = WriteReport::default();
        for item in plan.items() {
            let bytes = bytes_of(&source.source(item)?)?;
            io.advance(bytes.len() as u64);
            report.data += bytes.len() as u64;
            let region = match &item.what {
                WriteWhat::Chunk(chunk, _) => Some(chunk.region.clone()),
                WriteWhat::Value => None,
            };
            self.shelves().loose.push((token.0[0], item.entry, region, bytes));
        }
        report.written = report.data;
        Ok(WriteResult { report, summary: vec![plan.rank() as u8].into() })
    }

    async fn finish(
        &self,
        token: &SaveToken,
        plan: &GlobalPlan,
        results: &[(Rank, WriteResult)],
        _io: &Io<'_>,
    ) -> Result<(), StorageError> {
        assert!(results.iter().all(|(rank, result)| result.summary[..] == [*rank as u8]));
        self.shelves().committed = Some((token.0[0], Arc::clone(plan.metadata())));
        Ok(())
    }

    async fn abort(&self, token: &SaveToken, ranks_stopped: bool) -> Result<(), StorageError> {
        let mut shelves = self.shelves();
        shelves.loose.retain(|(save, ..)| *save != token.0[0]);
        shelves.aborted.push((token.0[0], ranks_stopped));
        Ok(())
    }
}

#[async_trait]
impl StorageReader for Vault {
    async fn read_metadata(&self, _io: &Io<'_>) -> Result<Found, StorageError> {
        match &self.shelves().committed {
            Some((save, metadata)) => {
                Ok(Found { metadata: Arc::clone(metadata), fingerprint: Digest::of(&[*save]), overhead: 0 })
            }
            None => Err(StorageError::NoCheckpoint { location: "a vault".into(), reason: "it is empty".into() }),
        }
    }

    async fn read_data(&self, items: Vec<(ReadItem, Dest<'_>)>, _io: &Io<'_>) -> Result<ReadReport, StorageError> {
        let shelves = self.shelves();
        let save = shelves.committed.as_ref().map_or(0, |(save, _)| *save);
        let mut report = ReadReport::default();
        for (ReadItem { entry, what }, dest) in items {
            let wanted = match &what {
                ReadWhat::Region { chunk, .. } => Some(&chunk.region),
                ReadWhat::Value => None,
            };
            let found = shelves
                .loose
                .iter()
                .find(|(of, number, region, _)| (*of, *number, region.as_ref()) == (save, entry, wanted));
            let Some((.., stored)) = found else {
                return Err(StorageError::Unsupported { format: "vault", what: format!("entry {entry}") });
            };
            let bytes = match what {
                ReadWhat::Value => stored.clone(),
                ReadWhat::Region { chunk, region } => cut(stored, &chunk.region, &region),
            };
            report.needed += bytes.len() as u64;
            let fault = |source| StorageError::Destination { fqn: Fqn::from("?"), source };
            match dest {
                Dest::Value(buffer) => *buffer = bytes,
                Dest::Memory(mut view) => view.copy_from_bytes(&bytes).map_err(|error| fault(error.into()))?,
                Dest::Sink(mut sink) => sink.write(&bytes).map_err(fault)?,
                other => return Err(fault(format!("{other:?}").into())),
            }
        }
        Ok(ReadReport { read: report.needed, ..report })
    }
}

/// The bytes of a region, given those of the chunk that it lies in.
fn cut(stored: &[u8], chunk: &Region, region: &Region) -> Vec<u8> {
    let size = stored.len() / chunk.numel() as usize;
    let within = region.relative_to(chunk).expect("inside");
    let runs = within.runs(chunk.sizes()).expect("fits");
    let length = runs.run_length() as usize * size;
    runs.flat_map(|start| stored[start as usize * size..][..length].iter().copied()).collect()
}

/// Saves through the vault on every rank.
fn put(case: &Case, vault: &Vault) -> Vec<dcp::SaveReport> {
    case.save.run(|collective, rank| {
        let buffers = case.filled(collective.rank(), rank, |tensor| &tensor.saved);
        let state = case.state(collective.rank(), rank, &buffers);
        case.saver(collective).save_to(vault, &state).expect("saves")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn anybody_can_write_a_writer_and_a_reader(case in cases(6, false)) {
        let vault = Vault::default();
        let reports = put(&case, &vault);
        // The same bytes of data as through the writer that comes with the system.
        let store: Place = Arc::new(MemoryStore::new());
        let total = case.save(&store).expect("saves").total();
        prop_assert_eq!(reports[0].total().data, total.data);
        case.load_through(&vault).expect("loads");
    }
}

#[test]
fn a_writer_that_fails_is_told_to_clean_up() {
    let vault = Vault::default();
    let error = Saver::new().save_to(&vault, &bad_state()).expect_err("the source fails");
    assert!(matches!(&error, Error::Storage(error) if error.kind() == "no-source"), "{error}");
    assert_eq!(vault.shelves().aborted, [(1, true)]);
    assert!(vault.shelves().loose.is_empty());
    let outcome = Loader::new().load_from(&vault, dcp::StateTarget::new()).map(|_| ());
    assert!(matches!(outcome, Err(Error::Storage(error)) if error.kind() == "no-checkpoint"));
}

/// A tensor whose bytes cannot be had.
fn bad_state() -> StateDict<'static> {
    struct Broken;
    impl dcp::DataSource for Broken {
        fn dtype(&self) -> dcp::DType {
            dcp::DType::UInt8
        }
        fn shape(&self) -> Vec<u64> {
            vec![4]
        }
        fn read_at(&self, _offset: u64, _out: &mut [u8]) -> Result<(), dcp_types::DataError> {
            Err("the device is gone".into())
        }
    }
    let spec = dcp::TensorSpec::replicated(dcp::DType::UInt8, [4]).expect("spec");
    StateDict::new().with("tensor", dcp::LocalTensor::lazy(spec, Broken))
}

#[test]
fn a_kept_saver_asks_each_writer_about_the_plan() {
    let (first, second) = (Vault::default(), Vault::default());
    Group::whole(2).run(|collective, _| {
        let saver = Saver::new().group(collective);
        let reused = [&first, &first, &second].map(|vault| {
            let report = saver.save_to(vault, &StateDict::new().with("step", 1)).expect("saves");
            report.plan_reused
        });
        assert_eq!(reused, [false, true, true]);
    });
    assert_eq!([&first, &second].map(|vault| vault.shelves().prepared), [2, 1]);
}
