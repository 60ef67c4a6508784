//! From a URL to a client of the cloud that it names.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
mod environment;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
mod persistent;
#[cfg(feature = "aws")]
mod profile;

use std::sync::Arc;

use dcp_storage::StorageError;
use object_store::ObjectStore;

pub(crate) use self::environment::Environment;
use crate::Access;
use crate::unfinished::Uploads;
use crate::url::{BucketUrl, Provider};

/// A client, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// How unfinished uploads are found, if they can be.
    pub(crate) uploads: Option<Arc<dyn Uploads>>,
}

/// A client for the bucket of a URL. Sends nothing.
///
/// # Errors
/// [`StorageError::NoAccess`] if what is known of the way there is incomplete or contradictory.
pub(crate) fn connect(url: &BucketUrl, access: &Access, environment: &Environment) -> Result<Client, StorageError> {
    match url.provider {
        #[cfg(feature = "aws")]
        Provider::Aws => aws::connect(url, access, environment),
        #[cfg(feature = "gcp")]
        Provider::Gcp => gcp::connect(url, access, environment),
        #[cfg(feature = "azure")]
        Provider::Azure => azure::connect(url, access, environment),
        #[allow(unreachable_patterns, reason = "with all features")]
        Provider::Aws | Provider::Gcp | Provider::Azure => {
            let reason = format!("this program was built without the feature of dcp-s3 for {}", url.bucket);
            Err(no_access(url, reason))
        }
    }
}

/// Every option of an [`Access`] as one of the client's own keys.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
fn options<K: std::str::FromStr>(url: &BucketUrl, access: &Access) -> Result<Vec<(K, String)>, StorageError> {
    let known = |(key, value): &(String, String)| match key.to_ascii_lowercase().parse() {
        Ok(key) => Ok((key, value.clone())),
        Err(_) => Err(no_access(url, format!("there is no option {key:?} for {}", url.bucket))),
    };
    access.options.iter().map(known).collect()
}

/// What a client says that cannot be made.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
fn unusable(url: &BucketUrl) -> impl Fn(object_store::Error) -> StorageError {
    |fault| no_access(url, fault.to_string())
}

fn no_access(url: &BucketUrl, reason: String) -> StorageError {
    StorageError::NoAccess { location: url.location(), reason }
}
