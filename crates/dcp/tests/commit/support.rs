//! Places to save to, checkpoints that can be told apart, and what is checked of them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dcp::{
    ComposedReader, ComposedWriter, Durability, Error, Format, LocalStore, LocalTensor, MemoryStore, Metadata, Region,
    SaveReport, Saver, StateDict, StorageError, StorageReader, Store, Value, Verify,
};
use dcp_storage::conformance::block_on;
use dcp_storage::{DataName, Io, Precondition, ReadRange, StorePath};
use dcp_types::{Dest, EntryKind, OwnedTensor, ReadItem, ReadWhat};
use ndarray::{Array1, Array2};
use tempfile::TempDir;

use crate::kind::{INDEX, Kind};

/// An empty place, but for files that are none of our business.
pub(crate) enum Place {
    Memory(MemoryStore),
    Disk(TempDir),
}

impl Place {
    /// One of each kind.
    pub(crate) fn each() -> impl Iterator<Item = Self> {
        [Self::memory(), Self::disk()].into_iter()
    }

    pub(crate) fn memory() -> Self {
        Self::Memory(MemoryStore::new()).furnished()
    }

    pub(crate) fn disk() -> Self {
        Self::Disk(tempfile::tempdir().expect("temporary directory")).furnished()
    }

    /// Another place of the same kind.
    pub(crate) fn another(&self) -> Self {
        match self {
            Self::Memory(_) => Self::memory(),
            Self::Disk(_) => Self::disk(),
        }
    }

    /// A new handle, as another process would open it.
    pub(crate) fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Disk(dir) => Arc::new(LocalStore::open(dir.path()).durability(Durability::None)),
        }
    }

    fn furnished(self) -> Self {
        let store = self.open();
        for (name, content) in FOREIGN {
            block_on(store.publish(&path(name), content, Precondition::Absent)).expect("published");
        }
        self
    }

    /// The names of all objects but the foreign ones, which are as they were.
    pub(crate) fn ours(&self) -> Vec<String> {
        let store = self.open();
        for (name, content) in FOREIGN {
            assert_eq!(fetch(&*store, name), content.to_vec(), "{name}");
        }
        let names = block_on(store.list(None)).expect("listed").into_iter().map(|object| object.path.to_string());
        names.filter(|name| FOREIGN.iter().all(|(foreign, _)| name != foreign)).collect()
    }

    /// There is one checkpoint and nothing else, not even what a store hides.
    pub(crate) fn assert_tidy(&self, what: &str) {
        let generation = generation(&*self.open());
        let ours = self.ours();
        let mut expected = vec![format!(".dcp-claim-{generation}"), INDEX.to_owned()];
        let data = |number| DataName { rank: 0, number, generation }.to_string();
        expected.extend([data(0), data(1)]);
        expected.sort();
        assert_eq!(ours, expected, "{what}");
        if let Self::Disk(dir) = self {
            let hidden = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".dcp-tmp-");
            let names = dir.path().read_dir().expect("read").map(|entry| entry.expect("entry").file_name());
            assert_eq!(names.filter(hidden).count(), 0, "{what}");
        }
    }

    /// Which checkpoint is there, as another process finds it.
    pub(crate) fn content(&self) -> Option<u32> {
        match content(self.open()) {
            Ok(number) => Some(number),
            Err(StorageError::NoCheckpoint { .. }) => None,
            Err(error) => panic!("neither the old checkpoint nor the new one: {error}"),
        }
    }
}

/// What a place holds beside checkpoints. Some of it looks similar.
const FOREIGN: [(&str, &[u8]); 5] = [
    ("notes.txt", b"do not remove"),
    (".dcp-claim-", b"not a claim"),
    (".dcp-claim-007", b"not one either"),
    ("__0_0.g01.distcp", b"not one of our names"),
    ("other/__0_0.g1.distcp", b"somebody else's"),
];

/// One of the two functions below.
pub(crate) type Save = fn(Arc<dyn Store>, u32, bool) -> Result<SaveReport, Error>;

/// Saves checkpoint `number` from a single process, whose claim may be taken for abandoned at once.
pub(crate) fn save(store: Arc<dyn Store>, number: u32, overwrite: bool) -> Result<SaveReport, Error> {
    save_through(&writer(store, overwrite), number)
}

/// The same with a claim that nobody may touch.
pub(crate) fn save_alive(store: Arc<dyn Store>, number: u32, overwrite: bool) -> Result<SaveReport, Error> {
    save_through(&writer(store, overwrite).claim_lifetime(DAY), number)
}

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn writer(store: Arc<dyn Store>, overwrite: bool) -> ComposedWriter {
    let format = Arc::new(Kind::new().files_per_rank(2));
    ComposedWriter::new(format, store).overwrite(overwrite).claim_lifetime(Duration::ZERO)
}

pub(crate) fn save_through(writer: &dyn dcp::StorageWriter, number: u32) -> Result<SaveReport, Error> {
    let (weight, bias) = arrays(number);
    let tensor = |view| LocalTensor::whole(view).expect("a tensor");
    let state = StateDict::new()
        .with("weight", tensor(weight.view().into_dyn()))
        .with("bias", tensor(bias.view().into_dyn()))
        .with("number", number)
        .with("text", text(number));
    Saver::new().threads(1).save_to(writer, &state)
}

/// Every checkpoint has its own sizes, so that no file of one fits another.
fn arrays(number: u32) -> (Array2<f32>, Array1<f32>) {
    let element = |at: usize| (number * 10_000 + at as u32) as f32;
    let columns = 11 + number as usize;
    let weight = Array2::from_shape_fn((37, columns), |(row, column)| element(row * columns + column));
    (weight, Array1::from_shape_fn(5 + 3 * number as usize, element))
}

fn text(number: u32) -> String {
    format!("this is checkpoint {number}").repeat(1 + number as usize)
}

/// Which checkpoint is in a store. Reads all of it.
pub(crate) fn content(store: Arc<dyn Store>) -> Result<u32, StorageError> {
    Opened::at(store)?.content()
}

/// A checkpoint whose index has been read.
pub(crate) struct Opened {
    reader: ComposedReader,
    metadata: Arc<Metadata>,
    io: Io<'static>,
}

impl Opened {
    pub(crate) fn at(store: Arc<dyn Store>) -> Result<Self, StorageError> {
        let io = Io::new()?.with_threads(1).with_verify(Verify::Covered);
        let reader = ComposedReader::new(Arc::new(Kind::new()), store);
        let metadata = block_on(reader.read_metadata(&io))?.metadata;
        Ok(Self { reader, metadata, io })
    }

    /// Reads everything, and makes sure that all of it is of one checkpoint.
    pub(crate) fn content(&self) -> Result<u32, StorageError> {
        let Value::Int(number) = self.value("number")? else { panic!("the number is an integer") };
        let number = number as u32;
        assert_eq!(self.value("text")?, text(number).as_str().into());
        let (weight, bias) = arrays(number);
        assert_eq!(self.tensor("weight")?.to_array::<f32>().expect("f32"), weight.into_dyn());
        assert_eq!(self.tensor("bias")?.to_array::<f32>().expect("f32"), bias.into_dyn());
        assert_eq!(self.metadata.len(), 4);
        Ok(number)
    }

    fn value(&self, fqn: &str) -> Result<Value, StorageError> {
        let (entry, _) = self.metadata.find(fqn).expect("an entry");
        let mut encoded = Vec::new();
        let item = ReadItem { entry, what: ReadWhat::Value };
        block_on(self.reader.read_data(vec![(item, Dest::Value(&mut encoded))], &self.io))?;
        self.reader.decode_value(entry, encoded.into())
    }

    fn tensor(&self, fqn: &str) -> Result<OwnedTensor, StorageError> {
        let (entry, leaf) = self.metadata.find(fqn).expect("an entry");
        let EntryKind::Tensor(tensor) = &leaf.kind else { panic!("{fqn} is a tensor") };
        let mut loaded = OwnedTensor::zeros(tensor.dtype, tensor.shape.clone());
        let whole = Region::full(&tensor.shape);
        let chunk = tensor.chunks_meeting(&whole).pop().expect("one chunk");
        let item = ReadItem { entry, what: ReadWhat::Region { chunk, region: whole } };
        let view = loaded.view_mut().expect("a view");
        block_on(self.reader.read_data(vec![(item, Dest::Memory(view))], &self.io))?;
        Ok(loaded)
    }
}

pub(crate) fn fetch(store: &dyn Store, name: &str) -> Vec<u8> {
    let path = path(name);
    let mut content = vec![0; block_on(store.head(&path)).expect("there").size as usize];
    block_on(store.read(&path, &mut [ReadRange { offset: 0, buffer: &mut content }])).expect("read");
    content
}

/// The generation of the checkpoint that is there.
pub(crate) fn generation(store: &dyn Store) -> u64 {
    Kind::new().generation(&fetch(store, INDEX)).expect("an index")
}

pub(crate) fn data_name(name: &str) -> Option<DataName> {
    DataName::parse(&path(name))
}

/// All objects and what they hold.
pub(crate) fn everything(store: &dyn Store) -> BTreeMap<String, Vec<u8>> {
    let listed = block_on(store.list(None)).expect("listed");
    listed.into_iter().map(|object| (object.path.to_string(), fetch(store, object.path.as_str()))).collect()
}

pub(crate) fn path(name: &str) -> StorePath {
    StorePath::parse(name).expect("a valid name")
}

/// Whether a saver that was not the first to commit is told so.
pub(crate) fn tells_the_loser(error: &StorageError, overwrite: bool, alive: bool) -> bool {
    match error {
        StorageError::PreconditionFailed { .. } => true,
        StorageError::Exists { .. } => !overwrite,
        // Somebody took it for dead and removed what it was writing.
        StorageError::Io { operation: "finish", source, .. } => !alive && source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// The storage error that a save ended with.
pub(crate) fn storage_error(outcome: &Result<SaveReport, Error>) -> Option<&StorageError> {
    match outcome {
        Ok(_) => None,
        Err(Error::Storage(error)) => Some(error),
        Err(other) => panic!("not an error of the storage: {other}"),
    }
}
