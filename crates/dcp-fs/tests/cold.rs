//! What was read past the page cache is not in it afterwards.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::IoSliceMut;

use dcp_fs::LocalStore;
use dcp_storage::conformance::block_on;
use dcp_storage::{ReadRange, Store, StorePath};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// Whether a page is in memory; `None` where the system does not tell.
fn is_in_memory(file: &File, offset: u64) -> Option<bool> {
    let mut byte = [0];
    match preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => Some(read == 1),
        Err(Errno::AGAIN) => Some(false),
        Err(_) => None,
    }
}

#[test]
fn what_was_read_leaves_memory() {
    // A directory of the build, since the temporary one may live in memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let path = directory.path().join("object");
    let content: Vec<u8> = (0..4 << 20).map(|at| (at % 251) as u8).collect();
    std::fs::write(&path, &content).expect("written");
    let file = File::open(&path).expect("opened");
    // What is dirty cannot be dropped.
    file.sync_all().expect("flushed");
    let read = |store: &LocalStore| {
        let mut buffer = vec![0; content.len()];
        let object = StorePath::parse("object").expect("valid");
        block_on(store.read(&object, &mut [ReadRange { offset: 0, buffer: &mut buffer }])).expect("read");
        assert!(buffer == content);
    };
    read(&LocalStore::open(directory.path()));
    let Some(true) = is_in_memory(&file, 1 << 20) else { return };
    read(&LocalStore::open(directory.path()).cold(true));
    // A file system that lives in memory keeps it; its type is a number of another width on other machines.
    let is_kept = is_in_memory(&file, 1 << 20) == Some(true);
    let kind = format!("{:x}", rustix::fs::fstatfs(&file).expect("a file system").f_type);
    assert!(!is_kept || ![EXT4, XFS].contains(&kind.as_str()), "kept by a file system of type {kind}");
}

const EXT4: &str = "ef53";
const XFS: &str = "58465342";
