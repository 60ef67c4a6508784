mod damage;
mod fixtures;
mod hostile;
mod records;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dcp_storage::{Finding, StorageError, StorePath, Strictness};

use super::{Index, decode};

thread_local! {
    static HAS_RECORDS: Cell<bool> = const { Cell::new(true) };
}

/// Whether indexes are read by records, where there are any.
pub(super) fn has_records() -> bool {
    HAS_RECORDS.get()
}

fn without_records<T>(run: impl FnOnce() -> T) -> T {
    HAS_RECORDS.set(false);
    let result = run();
    HAS_RECORDS.set(true);
    result
}

fn fixtures(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(kind)
}

/// The cases of a kind, in the order of their names.
fn cases(kind: &str) -> Vec<PathBuf> {
    let listed = fs::read_dir(fixtures(kind)).expect("fixtures");
    let mut cases: Vec<_> = listed.map(|entry| entry.expect("entry").path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn index_files(case: &Path) -> Vec<(StorePath, Vec<u8>)> {
    let read = |name: &str| Some((StorePath::parse(name).expect("name"), fs::read(case.join(name)).ok()?));
    match read(".metadata") {
        Some(file) => vec![file],
        None => (0..).map_while(|rank| read(&format!("__{rank}.metadata"))).collect(),
    }
}

fn decode_files(files: &[(StorePath, Vec<u8>)], strictness: Strictness) -> Result<(Index, Vec<Finding>), StorageError> {
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.clone(), Bytes::copy_from_slice(bytes))).collect();
    decode(&files, strictness)
}
