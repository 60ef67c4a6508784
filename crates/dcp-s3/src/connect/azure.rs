//! Azure Blob Storage.

use std::sync::Arc;

use dcp_storage::StorageError;
use object_store::azure::MicrosoftAzureBuilder;

use super::persistent::{Connector, no_retries};
use super::{Client, Environment, options, unusable};
use crate::Access;
use crate::url::BucketUrl;

pub(super) fn connect(url: &BucketUrl, access: &Access, environment: &Environment) -> Result<Client, StorageError> {
    let mut builder = MicrosoftAzureBuilder::new();
    for (key, value) in environment.keys("AZURE_") {
        builder = builder.with_config(key, value);
    }
    if let Some(endpoint) = environment.get("IDENTITY_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    for (key, value) in options(url, access)? {
        builder = builder.with_config(key, value);
    }
    if let Some(endpoint) = &access.endpoint_url {
        builder = builder.with_endpoint(endpoint.clone()).with_allow_http(endpoint.starts_with("http://"));
    }
    if access.skip_signature {
        builder = builder.with_skip_signature(true);
    }
    let builder = builder.with_url(&url.bucket).with_retry(no_retries()).with_http_connector(Connector::default());
    let store = Arc::new(builder.build().map_err(unusable(url))?);
    Ok(Client { store, uploads: None })
}
