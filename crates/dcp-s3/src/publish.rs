//! Small objects, put in one step and on a condition.

use bytes::Bytes;
use dcp_storage::{Precondition, StorageError, Version};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::site::Site;
use crate::version::{required, version};
use crate::work::{self, Failure, Patience};

/// Puts `content`, if `when` holds.
pub(crate) async fn publish(
    store: &dyn ObjectStore,
    key: &Path,
    site: &Site,
    patience: Patience,
    content: &[u8],
    when: Precondition,
) -> Result<Version, StorageError> {
    let mode = match &when {
        Precondition::None => PutMode::Overwrite,
        Precondition::Absent => PutMode::Create,
        Precondition::Matches(version) => PutMode::Update(required(version)),
    };
    let payload = PutPayload::from(Bytes::copy_from_slice(content));
    let put = store.put_opts(key, payload, PutOptions { mode, ..PutOptions::default() });
    let failure = match work::ask(patience, put).await {
        Ok(put) => return put_version(version(put.e_tag, put.version), site),
        Err(failure) => failure,
    };
    if failure.is_impossible() && when != Precondition::None {
        return Err(site.no_conditions(work::reason(failure)));
    }
    // A store that has acted and could not say so refuses the next attempt: what is there decides. Contents that must
    // be told apart differ.
    if failure.may_have_happened() {
        match read_back(store, key, patience, content.len()).await {
            Ok(Some((found, version))) if found == content => return put_version(version, site),
            Ok(_) => {}
            // It may be there or not: no refusal may be made of that.
            Err(unknown) => return Err(site.failed_to("publish")(unknown)),
        }
    }
    let found = match work::ask(patience, store.head(key)).await {
        Ok(found) => version(found.e_tag, found.version),
        Err(failure) if failure.is_missing() => None,
        Err(_) if failure.is_refused() => Some(Version("another state".to_owned())),
        Err(_) => return Err(site.failed_to("publish")(failure)),
    };
    // A server may find that a version that never was is no version, and complain of that.
    let is_other = matches!(&when, Precondition::Matches(version) if found.as_ref() != Some(version));
    if !(failure.is_refused() || is_other && failure.is_nameless()) {
        return Err(site.failed_to("publish")(failure));
    }
    let text = |version: Option<Version>| version.map_or_else(|| "nothing".to_owned(), |version| version.0);
    let expected = match when {
        Precondition::Matches(version) => Some(version),
        Precondition::None | Precondition::Absent => None,
    };
    Err(site.refused(text(expected), text(found)))
}

/// All of what is there, if it is so long, and its version.
async fn read_back(
    store: &dyn ObjectStore,
    key: &Path,
    patience: Patience,
    length: usize,
) -> Result<Option<(Bytes, Option<Version>)>, Failure> {
    let read = async {
        let got = store.get(key).await?;
        let version = version(got.meta.e_tag.clone(), got.meta.version.clone());
        let content = if got.meta.size == length as u64 { Some(got.bytes().await?) } else { None };
        Ok((content, version))
    };
    match work::ask(patience, read).await {
        Ok((content, version)) => Ok(content.map(|content| (content, version))),
        Err(failure) if failure.is_missing() => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn put_version(version: Option<Version>, site: &Site) -> Result<Version, StorageError> {
    version.ok_or_else(|| site.broken("publish", "the store does not say which version it has".into()))
}
