//! A [`Store`](dcp_storage::Store) in a bucket of S3, Google Cloud Storage or Azure.

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
