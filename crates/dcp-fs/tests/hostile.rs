//! A directory that somebody prepared to lead us astray.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dcp_fs::LocalStore;
use dcp_storage::conformance::block_on;
use dcp_storage::{Precondition, ReadRange, StorageError, Store, StorePath, Version};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mkfifoat, mknodat, renameat_with};
use tempfile::TempDir;

#[test]
fn link_to_a_file_outside_is_not_followed() {
    let place = Place::new();
    symlink(place.secret(), place.root().join("trap")).expect("linked");
    place.refuses_all("trap", "a symbolic link");
    symlink("../outside/secret", place.root().join("relative")).expect("linked");
    place.refuses_all("relative", "a symbolic link");
}

#[test]
fn link_to_a_directory_outside_is_not_followed() {
    let place = Place::new();
    symlink(place.outside(), place.root().join("trap")).expect("linked");
    place.refuses_all("trap", "a symbolic link");
    place.refuses_all("trap/secret", "behind a symbolic link");
    place.refuses_all("trap/new", "behind a symbolic link");
    place.refuses_all("trap/deeper/new", "behind a symbolic link");
}

#[test]
fn link_that_stays_inside_is_not_followed_either() {
    let place = Place::new();
    fs::write(place.root().join("object"), b"inside").expect("written");
    symlink("object", place.root().join("alias")).expect("linked");
    place.refuses_all("alias", "a symbolic link");
    assert_eq!(fs::read(place.root().join("object")).expect("still there"), b"inside");
}

#[test]
fn links_in_a_loop_and_into_nothing_end() {
    let place = Place::new();
    symlink("loop", place.root().join("loop")).expect("linked");
    symlink(".", place.root().join("here")).expect("linked");
    symlink("nowhere", place.root().join("dangling")).expect("linked");
    place.refuses_all("loop", "a symbolic link");
    place.refuses_all("loop/x", "behind a symbolic link");
    place.refuses_all("here/here/x", "behind a symbolic link");
    place.refuses_all("dangling", "a symbolic link");
    assert!(!place.root().join("nowhere").exists());
}

#[test]
fn pipe_does_not_block() {
    let place = Place::new();
    mkfifoat(CWD, place.root().join("pipe"), Mode::from_raw_mode(0o666)).expect("made");
    place.refuses_all("pipe", "a named pipe");
    place.refuses_all("pipe/x", "a named pipe");
}

#[test]
fn socket_is_not_an_object() {
    let place = Place::new();
    let _listener = UnixListener::bind(place.root().join("socket")).expect("bound");
    place.refuses_all("socket", "a socket");
}

#[test]
fn directory_is_not_an_object() {
    let place = Place::new();
    fs::create_dir(place.root().join("directory")).expect("made");
    place.refuses_all("directory", "a directory");
    assert!(place.root().join("directory").is_dir());
}

#[test]
fn device_is_not_an_object() {
    let place = Place::new();
    symlink("/dev/zero", place.root().join("linked")).expect("linked");
    place.refuses_all("linked", "a symbolic link");
    // The device itself takes a privilege to make. `/dev` has one for everybody.
    let node = place.root().join("zero");
    let made = mknodat(CWD, &node, FileType::CharacterDevice, Mode::from_raw_mode(0o666), rustix::fs::makedev(1, 5));
    match made {
        Ok(()) => place.refuses_all("zero", "a device"),
        Err(_) => {
            let read = read(&LocalStore::open("/dev"), "zero");
            assert!(matches!(read, Err(StorageError::NotAFile { found: "a device", .. })), "{read:?}");
        }
    }
}

#[test]
fn nothing_is_below_an_object() {
    let place = Place::new();
    let store = place.store();
    fs::write(place.root().join("object"), b"inside").expect("written");
    let below = path("object/below/it");
    assert!(matches!(read(&store, "object/below/it"), Err(StorageError::NotFound { .. })));
    assert!(matches!(block_on(store.head(&below)), Err(StorageError::NotFound { .. })));
    assert!(matches!(block_on(store.delete(&below)), Ok(())));
    for result in [
        block_on(store.create(&below, None)).map(drop),
        block_on(store.publish(&below, b"", Precondition::Absent)).map(drop),
        block_on(store.publish(&below, b"", Precondition::None)).map(drop),
    ] {
        assert!(matches!(result, Err(StorageError::NotAFile { found: "below another object", .. })), "{result:?}");
    }
}

/// While we walk, a directory becomes a link to the outside and back again: what is outside never comes in.
#[test]
fn link_swapped_in_while_we_walk_is_not_followed() {
    let place = Place::new();
    fs::create_dir(place.root().join("step")).expect("made");
    fs::write(place.root().join("step/secret"), b"inside").expect("written");
    symlink(place.outside(), place.root().join("other")).expect("linked");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ends = SetOnDrop(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let (one, other) = (place.root().join("step"), place.root().join("other"));
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).expect("exchanged");
            }
        });
        let store = place.store();
        for round in 0..500 {
            match read(&store, "step/secret") {
                Ok(content) => assert_eq!(content, b"inside"),
                Err(StorageError::NotAFile { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
            let written = block_on(store.publish(&path(&format!("step/{round}")), b"ours", Precondition::Absent));
            assert!(matches!(written, Ok(_) | Err(StorageError::NotAFile { .. })), "{written:?}");
            block_on(store.list(Some(&path("step")))).expect("listed");
        }
    });
    place.outside_is_untouched();
}

#[test]
fn upload_stays_inside_when_its_directory_is_swapped_for_a_link() {
    let place = Place::new();
    let store = place.store();
    let mut upload = block_on(store.create(&path("step/data"), None)).expect("created");
    fs::rename(place.root().join("step"), place.root().join("moved")).expect("renamed");
    symlink(place.outside(), place.root().join("step")).expect("linked");
    block_on(upload.write(b"content")).expect("written");
    block_on(upload.finish()).expect("finished where it began");
    assert_eq!(fs::read(place.root().join("moved/data")).expect("it is there"), b"content");
    place.outside_is_untouched();
}

#[test]
fn listing_shows_objects_only() {
    let place = Place::new();
    let root = place.root();
    fs::create_dir_all(root.join("a/empty")).expect("made");
    fs::write(root.join("a/object"), b"12345").expect("written");
    fs::write(root.join("a/.dcp-tmp-0123456789abcdef"), b"left by a process that was killed").expect("written");
    fs::create_dir(root.join(".dcp-tmp-directory")).expect("made");
    fs::write(root.join(".dcp-tmp-directory/x"), b"").expect("written");
    for name in [&b"back\\slash"[..], b"new\nline", b"not \xff unicode"] {
        fs::write(root.join(OsStr::from_bytes(name)), b"").expect("written");
    }
    symlink(place.outside(), root.join("directory-link")).expect("linked");
    symlink(place.secret(), root.join("file-link")).expect("linked");
    symlink("a/object", root.join("inner-link")).expect("linked");
    symlink(".", root.join("a/loop")).expect("linked");
    mkfifoat(CWD, root.join("pipe"), Mode::from_raw_mode(0o666)).expect("made");

    let list = |prefix: Option<&str>| {
        let listed = block_on(place.store().list(prefix.map(path).as_ref())).expect("listed");
        listed.into_iter().map(|meta| (meta.path.to_string(), meta.size)).collect::<Vec<_>>()
    };
    assert_eq!(list(None), [("a/object".to_owned(), 5)]);
    assert_eq!(list(Some("a")), [("a/object".to_owned(), 5)]);
    for nothing in ["a/empty", "directory-link", "directory-link/secret", "file-link", "inner-link", "a/loop/a", "pipe"]
    {
        assert_eq!(list(Some(nothing)), [], "{nothing}");
    }
}

#[test]
fn discard_removes_nothing_but_files_of_uploads() {
    let place = Place::new();
    let root = place.root();
    let temporary = |unique: &str, leaf: &str| format!(".dcp-tmp-{unique}{leaf}");
    fs::create_dir(root.join(temporary("0123456789abcdef", "-directory"))).expect("made");
    symlink(place.secret(), root.join(temporary("0123456789abcdef", "-link"))).expect("linked");
    mkfifoat(CWD, root.join(temporary("0123456789abcdef", "-pipe")), Mode::from_raw_mode(0o666)).expect("made");
    for (unique, leaf) in [
        ("0123456789abcdef", ""),
        ("0123456789abcdef", "-"),
        ("0123456789abcdef", "-."),
        ("0123456789abcdef", "-.."),
        ("0123456789abcdef", "-back\\slash"),
        ("0123456789abcdef", "-.dcp-tmp-0123456789abcdef-object"),
        ("0123456789abcde", "-object"),
        ("0123456789ABCDEF", "-object"),
        ("+123456789abcdef", "-object"),
    ] {
        fs::write(root.join(temporary(unique, leaf)), b"").expect("written");
    }
    symlink(place.outside(), root.join("trap")).expect("linked");
    fs::write(place.outside().join(temporary("0123456789abcdef", "-object")), b"").expect("written");
    let before = tree(place.directory.path());

    let store = place.store();
    assert_eq!(block_on(store.unfinished()).expect("listed"), []);
    for name in ["directory", "link", "pipe", "object", "back", "other/object"] {
        block_on(store.discard_unfinished(&path(name))).expect("nothing to discard");
    }
    let trapped = block_on(store.discard_unfinished(&path("trap/object")));
    assert!(matches!(trapped, Err(StorageError::NotAFile { found: "behind a symbolic link", .. })), "{trapped:?}");
    assert_eq!(tree(place.directory.path()), before);

    fs::write(root.join(temporary("0123456789abcdef", "-object")), b"").expect("written");
    fs::write(root.join(temporary("fedcba9876543210", "-object-2")), b"").expect("written");
    assert_eq!(block_on(store.unfinished()).expect("listed"), [path("object"), path("object-2")]);
    block_on(store.discard_unfinished(&path("object"))).expect("discarded");
    assert_eq!(block_on(store.unfinished()).expect("listed"), [path("object-2")]);
}

#[test]
fn bottomless_directories_end_where_names_do() {
    let place = Place::new();
    let mut deep = place.root();
    for _ in 0..700 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).expect("made");
    fs::write(deep.join("too deep"), b"").expect("written");
    fs::write(place.root().join("d/object"), b"").expect("written");
    let listed = block_on(place.store().list(None)).expect("listed");
    assert_eq!(listed.iter().map(|meta| meta.path.as_str()).collect::<Vec<_>>(), ["d/object"]);
}

#[test]
fn names_of_temporary_files_are_refused() {
    let place = Place::new();
    let store = place.store();
    for name in [".dcp-tmp-", ".dcp-tmp-0123456789abcdef", "a/.dcp-tmp-x", ".dcp-tmp-x/a"] {
        let path = path(name);
        let version = Version("any".to_owned());
        for result in [
            block_on(store.head(&path)).map(drop),
            block_on(store.read(&path, &mut [])),
            block_on(store.create(&path, None)).map(drop),
            block_on(store.publish(&path, b"", Precondition::Absent)).map(drop),
            block_on(store.publish(&path, b"", Precondition::Matches(version))).map(drop),
            block_on(store.list(Some(&path))).map(drop),
            block_on(store.delete(&path)),
            block_on(store.discard_unfinished(&path)),
        ] {
            assert!(matches!(&result, Err(StorageError::InvalidPath { path, .. }) if path == name), "{result:?}");
        }
    }
    assert_eq!(fs::read_dir(place.root()).expect("listed").count(), 0);
}

#[test]
fn missing_root_is_empty_until_the_first_write() {
    let place = TempDir::new().expect("a temporary directory");
    let root = place.path().join("not/yet");
    let store = LocalStore::open(&root);
    assert!(matches!(read(&store, "object"), Err(StorageError::NotFound { .. })));
    assert!(matches!(block_on(store.head(&path("object"))), Err(StorageError::NotFound { .. })));
    assert_eq!(block_on(store.list(None)).expect("listed"), []);
    assert_eq!(block_on(store.unfinished()).expect("listed"), []);
    block_on(store.delete(&path("object"))).expect("nothing to delete");
    block_on(store.discard_unfinished(&path("object"))).expect("nothing to discard");
    assert!(!place.path().join("not").exists(), "only a write makes the root");
    block_on(store.publish(&path("object"), b"content", Precondition::Absent)).expect("published");
    assert_eq!(fs::read(root.join("object")).expect("it is there"), b"content");
}

#[test]
fn root_that_is_a_file_is_an_error() {
    let place = TempDir::new().expect("a temporary directory");
    let root = place.path().join("file");
    fs::write(&root, b"a file").expect("written");
    let store = LocalStore::open(&root);
    for result in [
        read(&store, "object").map(drop),
        block_on(store.head(&path("object"))).map(drop),
        block_on(store.create(&path("object"), None)).map(drop),
        block_on(store.publish(&path("object"), b"", Precondition::Absent)).map(drop),
        block_on(store.list(None)).map(drop),
        block_on(store.delete(&path("object"))),
        block_on(store.unfinished()).map(drop),
        block_on(store.discard_unfinished(&path("object"))),
    ] {
        assert!(
            matches!(&result, Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotADirectory),
            "{result:?}"
        );
    }
    assert_eq!(fs::read(&root).expect("still there"), b"a file");
}

#[test]
fn root_may_be_a_link() {
    let place = Place::new();
    let link = place.directory.path().join("link");
    symlink("root", &link).expect("linked");
    let store = LocalStore::open(&link);
    block_on(store.publish(&path("a/object"), b"content", Precondition::Absent)).expect("published");
    assert_eq!(read(&store, "a/object").expect("read"), b"content");
    assert_eq!(fs::read(place.root().join("a/object")).expect("it is there"), b"content");

    let dangling = place.directory.path().join("dangling");
    symlink("nowhere", &dangling).expect("linked");
    let store = LocalStore::open(&dangling);
    assert!(matches!(read(&store, "object"), Err(StorageError::NotFound { .. })));
    assert_eq!(block_on(store.list(None)).expect("listed"), []);
    let refused = block_on(store.create(&path("object"), None)).map(drop);
    assert!(
        matches!(&refused, Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound),
        "{refused:?}"
    );
}

/// Permissions mean for us what they mean for everybody; for root, nothing.
#[test]
fn permissions_are_respected() {
    let place = Place::new();
    let store = place.store();
    let file = place.root().join("sealed/object");
    fs::create_dir(place.root().join("sealed")).expect("made");
    fs::write(&file, b"content").expect("written");
    let agree = |ours: Result<(), StorageError>, theirs: io::Result<()>| match (ours, theirs) {
        (Ok(()), Ok(())) => {}
        (Err(StorageError::Io { source, .. }), Err(error)) => {
            assert_eq!(
                (source.kind(), error.kind()),
                (io::ErrorKind::PermissionDenied, io::ErrorKind::PermissionDenied)
            );
        }
        (ours, theirs) => panic!("{ours:?}, but {theirs:?}"),
    };

    seal(&file, 0o000);
    agree(read(&store, "sealed/object").map(drop), fs::read(&file).map(drop));

    let dir = place.root().join("sealed");
    seal(&dir, 0o000);
    agree(block_on(store.list(None)).map(drop), fs::read_dir(&dir).map(drop));
    agree(block_on(store.create(&path("sealed/new"), None)).map(drop), fs::write(dir.join("other"), b""));
    agree(block_on(store.delete(&path("sealed/object"))), fs::metadata(&file).map(drop).or_else(unless_missing));
    seal(&dir, 0o700);
}

/// An object has the permissions of any other new file, not the narrow ones of a temporary one.
#[test]
fn objects_have_the_usual_permissions() {
    let place = Place::new();
    let store = place.store();
    fs::write(place.root().join("usual"), b"").expect("written");
    let usual = fs::metadata(place.root().join("usual")).expect("it is there").mode();
    block_on(store.publish(&path("published"), b"", Precondition::Absent)).expect("published");
    block_on(block_on(store.create(&path("uploaded"), None)).expect("created").finish()).expect("finished");
    for name in ["published", "uploaded"] {
        assert_eq!(fs::metadata(place.root().join(name)).expect("it is there").mode(), usual, "{name}");
    }
}

#[test]
fn object_that_is_read_only_can_be_replaced_and_deleted() {
    let place = Place::new();
    let store = place.store();
    let version = block_on(store.publish(&path("object"), b"old", Precondition::Absent)).expect("published");
    seal(&place.root().join("object"), 0o444);
    block_on(store.publish(&path("object"), b"new", Precondition::Matches(version))).expect("replaced");
    assert_eq!(read(&store, "object").expect("read"), b"new");
    seal(&place.root().join("object"), 0o444);
    block_on(store.delete(&path("object"))).expect("deleted");
    assert!(!place.root().join("object").exists());
}

#[test]
fn expected_size_that_is_wrong_costs_nothing() {
    let place = Place::new();
    let store = place.store();
    for (index, hint) in [u64::MAX, 1 << 60, 64 << 20].into_iter().enumerate() {
        let name = format!("object-{index}");
        let mut upload = block_on(store.create(&path(&name), Some(hint))).expect("only a hint");
        block_on(upload.write(b"content")).expect("written");
        block_on(upload.finish()).expect("finished");
        let metadata = fs::metadata(place.root().join(&name)).expect("it is there");
        assert_eq!(metadata.len(), 7);
        assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks are still reserved", metadata.blocks());
    }
}

/// Ends the other thread even when this one fails.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A root, and beside it an outside with a secret.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let place = Self { directory };
        fs::create_dir(place.root()).expect("made");
        fs::create_dir(place.outside()).expect("made");
        fs::write(place.secret(), b"secret").expect("written");
        place
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    fn secret(&self) -> PathBuf {
        self.outside().join("secret")
    }

    fn store(&self) -> LocalStore {
        LocalStore::open(self.root())
    }

    /// No operation accepts this name, each says what is there, and none changes anything.
    fn refuses_all(&self, name: &str, expected: &str) {
        let store = self.store();
        let path = path(name);
        let before = tree(self.directory.path());
        let version = Version("any".to_owned());
        for (operation, result) in [
            ("read", read(&store, name).map(drop)),
            ("head", block_on(store.head(&path)).map(drop)),
            ("size", block_on(store.size(&path)).map(drop)),
            ("create", block_on(store.create(&path, Some(4))).map(drop)),
            ("publish if absent", block_on(store.publish(&path, b"ours", Precondition::Absent)).map(drop)),
            ("publish", block_on(store.publish(&path, b"ours", Precondition::None)).map(drop)),
            ("publish on a version", block_on(store.publish(&path, b"ours", Precondition::Matches(version))).map(drop)),
            ("delete", block_on(store.delete(&path))),
        ] {
            assert!(
                matches!(&result, Err(StorageError::NotAFile { found, .. }) if *found == expected),
                "{operation} of {name}: {result:?}"
            );
        }
        assert_eq!(block_on(store.list(Some(&path))).expect("listed"), []);
        assert_eq!(tree(self.directory.path()), before);
        self.outside_is_untouched();
    }

    fn outside_is_untouched(&self) {
        let names: Vec<_> =
            fs::read_dir(self.outside()).expect("listed").map(|entry| entry.expect("read").file_name()).collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(fs::read(self.secret()).expect("still there"), b"secret");
    }
}

/// Every name below a directory.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).expect("listed").map(|entry| entry.expect("read")) {
        names.push(entry.path());
        if entry.file_type().expect("known").is_dir() {
            names.extend(tree(&entry.path()));
        }
    }
    names.sort();
    names
}

fn read(store: &LocalStore, name: &str) -> Result<Vec<u8>, StorageError> {
    let path = path(name);
    let size = block_on(store.head(&path))?.size;
    let mut buffer = vec![0; size as usize];
    block_on(store.read(&path, &mut [ReadRange { offset: 0, buffer: &mut buffer }]))?;
    Ok(buffer)
}

fn seal(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn path(path: &str) -> StorePath {
    StorePath::parse(path).expect("valid")
}
