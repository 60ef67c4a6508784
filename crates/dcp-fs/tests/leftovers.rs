//! What a process that is killed leaves behind, and who removes it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dcp_fs::LocalStore;
use dcp_storage::conformance::block_on;
use dcp_storage::{
    Ask, ComposedWriter, FileLayout, Format, Generation, Io, OpenedCheckpoint, Precondition, SaveToken, StorageError,
    StorageWriter, Store, StorePath, Strictness, WrittenFile,
};
use dcp_types::{GlobalPlan, Metadata, Rank, RankPlan, RankSet};
use tempfile::TempDir;

#[test]
fn crashed_uploads_are_removed_with_their_expired_claim() {
    let place = TempDir::new().expect("a temporary directory");
    let store = LocalStore::open(place.path());
    let crashed = save(&store, Duration::ZERO);
    let generation = begin(&crashed, &store).1;
    crash_within(&store, &format!("__0_0{generation}.distcp"));
    crash_within(&store, &format!("__1_0{generation}.distcp"));
    // Another program's, with a name that no save of ours has.
    crash_within(&store, "other");
    assert_eq!(temporary(place.path()).len(), 3);

    let later = save(&store, DAY);
    let (token, _) = begin(&later, &store);
    assert_eq!(temporary(place.path()).len(), 3, "nothing is removed before the commit");
    finish(&later, &token);
    assert_eq!(block_on(store.unfinished()).expect("listed"), [path("other")]);
    assert_eq!(temporary(place.path()).len(), 1);
    assert_eq!(names(&store), [".dcp-claim-1", "index"]);
}

/// Nothing is made for what is gone: an abort leaves nothing behind.
#[test]
fn a_shared_upload_whose_directory_is_gone_is_aborted_without_it() {
    let place = TempDir::new().expect("a temporary directory");
    let store = LocalStore::open(place.path());
    let uploads = store.shared().expect("a file system can");
    let object = path("run/model.pt");
    let id = block_on(uploads.begin(&object, None)).expect("begun");
    fs::remove_dir_all(place.path().join("run")).expect("removed");
    let joined = block_on(uploads.join(&object, &id)).map(drop);
    assert!(matches!(joined, Err(StorageError::Io { .. })), "{joined:?}");
    block_on(uploads.abort(&object, &id)).expect("there is nothing to abort");
    assert!(!place.path().join("run").exists());
}

#[test]
fn uploads_under_a_claim_that_stands_are_left_alone() {
    let place = TempDir::new().expect("a temporary directory");
    let store = LocalStore::open(place.path());
    let slow = save(&store, DAY);
    let (_, generation) = begin(&slow, &store);
    let under_way = path(&format!("__0_0{generation}.distcp"));
    let mut upload = block_on(store.create(&under_way, None)).expect("created");
    block_on(upload.write(b"slowly")).expect("written");

    let fast = save(&store, DAY);
    let (token, _) = begin(&fast, &store);
    finish(&fast, &token);
    assert_eq!(block_on(store.unfinished()).expect("listed"), [under_way]);
    block_on(upload.finish()).expect("nobody has touched it");
}

#[test]
fn uploads_without_a_claim_are_removed_except_of_generation_0() {
    let place = TempDir::new().expect("a temporary directory");
    let store = LocalStore::open(place.path());
    for generation in ["", ".g1", ".g2"] {
        crash_within(&store, &format!("__7_0{generation}.distcp"));
    }
    // Takes generation 3: there are traces of the one before.
    block_on(store.publish(&path("__0_0.g2.distcp"), b"data", Precondition::Absent)).expect("published");
    let writer = save(&store, DAY);
    let (token, generation) = begin(&writer, &store);
    assert_eq!(generation, ".g3");
    finish(&writer, &token);
    assert_eq!(block_on(store.unfinished()).expect("listed"), [path("__7_0.distcp")]);
    assert_eq!(names(&store), [".dcp-claim-3", "index"]);
}

#[test]
fn abort_ends_the_uploads_of_dead_and_slow_ranks() {
    for ranks_stopped in [true, false] {
        let place = TempDir::new().expect("a temporary directory");
        let store = LocalStore::open(place.path());
        let writer = save(&store, DAY);
        let (token, generation) = begin(&writer, &store);
        crash_within(&store, &format!("__0_0{generation}.distcp"));
        let slow = path(&format!("__1_0{generation}.distcp"));
        let mut upload = block_on(store.create(&slow, None)).expect("created");
        block_on(upload.write(b"slowly")).expect("written");

        block_on(writer.abort(&token, ranks_stopped)).expect("aborted");
        assert_eq!(temporary(place.path()), [""; 0]);
        let finished = block_on(upload.finish());
        assert!(matches!(&finished, Err(StorageError::Io { operation: "finish", .. })), "{finished:?}");
        let left: &[&str] = if ranks_stopped { &[] } else { &[".dcp-claim-0"] };
        assert_eq!(names(&store), left);
    }
}

#[test]
fn temporary_name_tells_the_object_if_there_is_room() {
    let place = TempDir::new().expect("a temporary directory");
    let store = LocalStore::open(place.path());
    for (length, told) in [(1, true), (229, true), (230, false), (255, false)] {
        let name = path(&format!("step/{}", "x".repeat(length)));
        let upload = block_on(store.create(&name, None)).expect("created");
        let expected = if told { vec![name.clone()] } else { Vec::new() };
        assert_eq!(block_on(store.unfinished()).expect("listed"), expected, "{length} bytes");
        block_on(store.discard_unfinished(&name)).expect("discarded");
        assert_eq!(temporary(&place.path().join("step")).len(), usize::from(!told), "{length} bytes");
        assert_eq!(block_on(upload.finish()).is_err(), told, "{length} bytes");
    }
}

#[test]
fn second_name_of_a_finished_object_goes_without_it() {
    let place = TempDir::new().expect("a temporary directory");
    let store = LocalStore::open(place.path());
    crash_within(&store, "data");
    let temporary_name = place.path().join(&temporary(place.path())[0]);
    // Where a file system cannot rename without replacing, a crash between link and unlink leaves this.
    fs::hard_link(&temporary_name, place.path().join("data")).expect("linked");
    block_on(store.discard_unfinished(&path("data"))).expect("discarded");
    assert!(!temporary_name.exists());
    assert_eq!(fs::read(place.path().join("data")).expect("it is there"), CONTENT);
}

/// An upload whose process is gone: nobody finishes, aborts or drops it.
fn crash_within(store: &LocalStore, name: &str) {
    let mut upload = block_on(store.create(&path(name), None)).expect("created");
    block_on(upload.write(CONTENT)).expect("written");
    std::mem::forget(upload);
}

fn save(store: &LocalStore, claim_lifetime: Duration) -> ComposedWriter {
    let writer = ComposedWriter::new(Arc::new(IndexOnly), Arc::new(store.clone()));
    writer.overwrite(true).claim_lifetime(claim_lifetime)
}

/// Begins a save, and gives the part of its file names that tells the generation.
fn begin(writer: &ComposedWriter, store: &LocalStore) -> (SaveToken, String) {
    let token = block_on(writer.begin(&RankSet::default())).expect("begun");
    let names = names(store);
    let claims = names.iter().filter_map(|name| name.strip_prefix(".dcp-claim-"));
    let generation: Generation = claims.map(|claim| claim.parse().expect("a number")).max().expect("one is ours");
    (token, if generation == 0 { String::new() } else { format!(".g{generation}") })
}

/// Commits a save of nothing.
fn finish(writer: &ComposedWriter, token: &SaveToken) {
    let nothing = Metadata::new([]).expect("no names to clash");
    let plan = GlobalPlan::new(nothing, Vec::new()).expect("no entries to own");
    let io = Io::new().expect("threads");
    block_on(writer.finish(token, &plan, &[], &io)).expect("saved");
}

/// A format whose index says the generation and nothing else.
#[derive(Debug)]
struct IndexOnly;

impl Format for IndexOnly {
    fn name(&self) -> &'static str {
        "index-only"
    }

    fn index_path(&self) -> StorePath {
        path("index")
    }

    fn lay_out(&self, _: &RankPlan, _: Generation) -> Result<Vec<FileLayout>, StorageError> {
        Ok(Vec::new())
    }

    fn summarise(&self, _: &[WrittenFile]) -> Result<Bytes, StorageError> {
        Ok(Bytes::new())
    }

    fn encode_index(&self, _: &GlobalPlan, _: &[(Rank, Bytes)], generation: Generation) -> Result<Bytes, StorageError> {
        Ok(generation.to_string().into())
    }

    fn generation(&self, index: &[u8]) -> Result<Generation, StorageError> {
        Ok(std::str::from_utf8(index).expect("ours").parse().expect("ours"))
    }

    fn open(&self, _: Strictness) -> Box<dyn Ask<Output = Arc<dyn OpenedCheckpoint>>> {
        unreachable!("nothing is read here")
    }
}

const CONTENT: &[u8] = b"some of a tensor";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn names(store: &LocalStore) -> Vec<String> {
    block_on(store.list(None)).expect("listed").into_iter().map(|object| object.path.into()).collect()
}

/// The names of the store's own files in a directory.
fn temporary(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("read").file_name().into_string());
    names.map(|name| name.expect("ours")).filter(|name| name.starts_with(".dcp-tmp-")).collect()
}

fn path(path: &str) -> StorePath {
    StorePath::parse(path).expect("valid")
}
