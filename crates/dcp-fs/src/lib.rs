//! A [`Store`](dcp_storage::Store) on a local or parallel file system.
//!
//! ```
//! use dcp_fs::LocalStore;
//! use dcp_storage::{Precondition, ReadRange, StorageError, Store, StorePath};
//!
//! # async fn example() -> Result<(), StorageError> {
//! # let directory = tempfile::tempdir().expect("a temporary directory");
//! # let root = directory.path().join("run-1");
//! let store = LocalStore::open(root); // nothing is created before the first write
//!
//! let data = StorePath::parse("step-100/__0_0.distcp")?;
//! let mut upload = store.create(&data, Some(6)).await?;
//! upload.write(b"tensor").await?;
//! upload.finish().await?; // only now is it there, and it survives a crash
//!
//! let mut buffer = [0; 3];
//! store.read(&data, &mut [ReadRange { offset: 2, buffer: &mut buffer }]).await?;
//! assert_eq!(&buffer, b"nso");
//!
//! store.publish(&StorePath::parse("step-100/index")?, b"...", Precondition::Absent).await?;
//! # Ok(())
//! # }
//! # dcp_storage::conformance::block_on(example()).unwrap();
//! ```
//!
//! # How it keeps the contract
//!
//! * **Nothing torn.** Bytes go to a hidden temporary file in the directory of the object. It is flushed to the
//!   medium, renamed to the object's name (without replacing, for an upload), and the directory is flushed too, as
//!   are the directories that had to be made.
//! * **Conditional publish.** Whoever replaces or deletes an object first takes an advisory lock (`flock`) on the
//!   very file that bears the name, and then looks whether it still does. So there is no lock file to leave
//!   behind, and the lock reaches as far as the file system carries it: on NFS and, mounted with `-o flock`, on Lustre
//!   over all nodes. (A lock on the directory would hold on one node only there.)
//! * **Nothing followed.** Below the root no symbolic link is followed, by no operation, and nothing but a regular file is
//!   read; names are walked component by component on open directories, so a link that is put in place meanwhile
//!   changes nothing. The root itself may be a link.
//!
//! # What to know
//!
//! * Names with a component that starts with `.dcp-tmp-` are the store's own: using one is
//!   [`InvalidPath`](dcp_storage::StorageError::InvalidPath). A process that is killed leaves its temporary files. They are
//!   never listed, but the name of each tells which object it was to become, so that
//!   [`unfinished`](dcp_storage::Store::unfinished) finds them and
//!   [`discard_unfinished`](dcp_storage::Store::discard_unfinished) removes them. Left out are objects whose last
//!   component is so long (more than 229 bytes, mostly) that there is no room for it in another name, and what a killed
//!   [`publish`](dcp_storage::Store::publish) has left, which is small.
//! * A version is a hash of the content, so [`head`](dcp_storage::Store::head) reads the object. Of objects larger
//!   than [`LocalStore::MAX_HEAD_VERSION`] it gives the size alone. The cheap way to learn a size is
//!   [`size`](dcp_storage::Store::size), or, for many at once, [`list`](dcp_storage::Store::list).
//! * [`LocalStore::cold`] reads past the page cache of this machine, to find out what the medium holds.
//! * `a` and `a/b` cannot both be objects. Deleting leaves empty directories behind.

mod beneath;
mod cold;
mod disk;
mod list;
mod publish;
mod read;
mod root;
mod shared;
mod site;
mod store;
mod temp;
mod upload;
mod version;

#[cfg(test)]
mod crash;

pub use store::{Durability, LocalStore};
