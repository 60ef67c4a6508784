//! Google Cloud Storage.

use std::sync::Arc;

use dcp_storage::StorageError;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

use super::persistent::{Connector, no_retries};
use super::{Client, Environment, options, unusable};
use crate::Access;
use crate::url::BucketUrl;

pub(super) fn connect(url: &BucketUrl, access: &Access, environment: &Environment) -> Result<Client, StorageError> {
    let mut builder = GoogleCloudStorageBuilder::new();
    for (key, value) in environment.keys("GOOGLE_") {
        builder = builder.with_config(key, value);
    }
    for (key, value) in options(url, access)? {
        builder = builder.with_config(key, value);
    }
    if let Some(endpoint) = &access.endpoint_url {
        builder = builder.with_config(GoogleConfigKey::BaseUrl, endpoint);
    }
    if access.skip_signature {
        builder = builder.with_skip_signature(true);
    }
    let builder = builder.with_url(&url.bucket).with_retry(no_retries()).with_http_connector(Connector::default());
    let store = Arc::new(builder.build().map_err(unusable(url))?);
    Ok(Client { store, uploads: None })
}
