//! A [`Store`](dcp_storage::Store) in a bucket: of S3 and what speaks its language, of Google Cloud Storage, of Azure.
//!
//! ```
//! use std::sync::Arc;
//! use dcp_s3::{Bucket, object_store::memory::InMemory};
//! use dcp_storage::{Precondition, ReadRange, StorageError, Store, StorePath};
//!
//! # async fn example() -> Result<(), StorageError> {
//! // As a rule: Bucket::open("s3://bucket/run-1/step-100")?
//! let bucket = Bucket::over(Arc::new(InMemory::new()), None);
//!
//! let data = StorePath::parse("__0_0.distcp")?;
//! let mut upload = bucket.create(&data, Some(6)).await?;
//! upload.write(b"tensor").await?;
//! upload.finish().await?; // only now is it there
//!
//! let mut buffer = [0; 3];
//! bucket.read(&data, &mut [ReadRange { offset: 2, buffer: &mut buffer }]).await?;
//! assert_eq!(&buffer, b"nso");
//!
//! bucket.publish(&StorePath::parse("index")?, b"...", Precondition::Absent).await?;
//! # Ok(())
//! # }
//! # dcp_storage::conformance::block_on(example()).unwrap();
//! ```
//!
//! # Where, and as whom
//!
//! | URL | what else is looked at |
//! |---|---|
//! | `s3://bucket/prefix` (`s3a`) | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`, …; then `AWS_PROFILE` in `~/.aws/credentials` and `~/.aws/config` (keys, token, region, endpoint); then what the machine is given (containers, web identity, instance metadata) |
//! | `gs://bucket/prefix` | `GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_SERVICE_ACCOUNT`, …; then the application default credentials |
//! | `az://container/prefix`, `abfs[s]://container@account.dfs.core.windows.net/prefix` | `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`, … |
//!
//! The variables are those of `object_store`. [`Access`] says the same from a program. Keys in URLs are taken as they are: nothing is decoded.
//! Profiles that get their keys by other programs (SSO, `credential_process`, roles) are refused with the command that puts them into the
//! environment.
//!
//! # How it keeps the contract
//!
//! * **Nothing torn.** A bucket shows an object whole or not at all. What is longer than a part goes up in parts, several at once, and becomes an
//!   object when all are there. What is given up, or dropped, is aborted.
//! * **Nothing replaced.** Small objects are put on the condition that there is none (`If-None-Match: *`). Before parts are put together it
//!   is looked whether there is one, and on S3 that is a condition as well. On Google Cloud Storage, on Azure and over clients of one's
//!   own another may come between the two. The names of data files are unique to a save, so nothing is decided by it.
//! * **Conditional publish** by ETag, or generation, decided by the store. One that cannot do that is
//!   [`NoConditions`](dcp_storage::StorageError::NoConditions).
//! * **A lost answer** to a publication, or to the end of an upload, is resolved by looking at what is there.
//! * **Ranges** are asked for in parallel, and go from the connection to the caller's buffers. Where one read takes several requests they are of
//!   one state of the object, by its ETag. An answer that breaks off is asked for again from there on; one that is too long is an error.
//! * **Attempts** are made below `object_store`, by one rule ([`Traffic::attempts`]): again after 408, 429, 5xx, conflicts, resets and silence;
//!   never after 401, 403, 404, 412 and the like. [`GaveUp`](dcp_storage::StorageError::GaveUp) says how often and for how long.
//!
//! # What to know
//!
//! * What is sent to S3 without encryption (`http`) is signed with its SHA-256, which takes most of the time of a save on a fast network. Over `https` TLS protects
//!   the bytes, and they are not hashed; `AWS_UNSIGNED_PAYLOAD=false` has it done all the same, `true` leaves it out everywhere. A load compares checksums in any case.
//! * What lies side by side in an object is read with one request, whatever tensors it belongs to. Only what is converted on the way, or put in order, takes
//!   a request for each tensor.
//! * Short runs are fetched together with what lies between them: see [`Traffic::coalesce_gap`]. Reports count it.
//! * A process that is killed leaves the parts of its uploads, which cost money and are not listed as objects. On S3
//!   [`unfinished`](dcp_storage::Store::unfinished) finds them (on servers that answer `ListMultipartUploads`; of others it finds none) and
//!   [`discard_unfinished`](dcp_storage::Store::discard_unfinished) removes them. On Google Cloud Storage a lifecycle rule does it
//!   (`AbortIncompleteMultipartUpload`), Azure drops them after a week.
//! * Names whose first component is `.dcp-` and two hexadecimal digits are the store's own ([`KeyLayout`]), and a name and what is before it in
//!   the bucket have at most 1024 bytes together.
//! * [`Bucket::over`] a `LocalFileSystem` is for tests: that client flushes nothing and cannot replace on a condition.
//! * Versions are ETags. On S3 without encryption keys of one's own that is a hash of the content for small objects.

#![cfg_attr(
    not(any(feature = "aws", feature = "gcp", feature = "azure")),
    allow(dead_code, unused_variables, reason = "without a cloud there are only stores of one's own")
)]

mod access;
mod bucket;
mod budget;
mod connect;
mod keys;
mod publish;
mod read;
mod site;
mod traffic;
mod unfinished;
mod upload;
mod url;
mod version;
mod work;

pub use access::Access;
pub use bucket::Bucket;
pub use keys::KeyLayout;
pub use object_store;
pub use traffic::Traffic;
