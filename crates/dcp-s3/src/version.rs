//! Versions: what the store calls a state of an object.

use dcp_storage::Version;
use object_store::UpdateVersion;

/// The version with this tag and, where the store counts states (Google Cloud Storage; S3 where versions are kept), this number.
/// `None` if the store has neither.
pub(crate) fn version(e_tag: Option<String>, number: Option<String>) -> Option<Version> {
    match (e_tag, number) {
        (None, None) => None,
        (e_tag, None) => e_tag.map(Version),
        (e_tag, Some(number)) => Some(Version(format!("{NUMBER}{number} {}", e_tag.unwrap_or_default()))),
    }
}

/// What a store is to compare.
pub(crate) fn required(version: &Version) -> UpdateVersion {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match version.0.strip_prefix(NUMBER).and_then(|rest| rest.split_once(' ')) {
        Some((number, e_tag)) => UpdateVersion { e_tag: text(e_tag), version: text(number) },
        None => UpdateVersion { e_tag: text(&version.0), version: None },
    }
}

const NUMBER: &str = "version ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_back_as_they_were() {
        for (e_tag, number) in [(Some("\"a b\""), None), (Some("\"a\""), Some("17")), (None, Some("17"))] {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let version = version(owned(e_tag), owned(number)).expect("known");
            let required = required(&version);
            assert_eq!((required.e_tag.as_deref(), required.version.as_deref()), (e_tag, number));
        }
        assert_eq!(version(None, None), None);
    }
}
