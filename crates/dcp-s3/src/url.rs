//! URLs of places in buckets.

use dcp_storage::{StorageError, StorePath};

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketUrl {
    pub(crate) provider: Provider,
    /// The URL up to the bucket: `s3://bucket`.
    pub(crate) bucket: String,
    pub(crate) prefix: Option<StorePath>,
}

/// Whose interface a scheme stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    Aws,
    Gcp,
    Azure,
}

/// The URL schemes that are places in buckets.
pub(crate) const SCHEMES: [&str; 6] = ["s3", "s3a", "gs", "az", "abfs", "abfss"];

impl BucketUrl {
    /// Keys are taken as they are: nothing in a URL is decoded, as the clouds' own programs do.
    ///
    /// # Errors
    /// [`StorageError::InvalidUrl`]
    pub(crate) fn parse(url: &str) -> Result<Self, StorageError> {
        let refused = |reason: String| StorageError::InvalidUrl { url: url.to_owned(), reason };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| refused(format!("expected {FORM}")))?;
        let provider = provider(scheme).ok_or_else(|| refused(format!("expected {FORM}")))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(refused(format!("it names no bucket: expected {FORM}")));
        }
        if bucket.contains(|c: char| c.is_control() || c.is_whitespace() || "?#\\%".contains(c)) {
            return Err(refused(format!("{bucket:?} cannot be a bucket: expected {FORM}")));
        }
        let prefix = match prefix.strip_suffix('/').unwrap_or(prefix) {
            "" => None,
            prefix => Some(StorePath::parse(prefix).map_err(|fault| refused(fault.to_string()))?),
        };
        Ok(Self { provider, bucket: format!("{scheme}://{bucket}"), prefix })
    }

    /// The URL again, without what does not matter.
    pub(crate) fn location(&self) -> String {
        match &self.prefix {
            Some(prefix) => format!("{}/{prefix}", self.bucket),
            None => self.bucket.clone(),
        }
    }
}

fn provider(scheme: &str) -> Option<Provider> {
    match scheme {
        "s3" | "s3a" => Some(Provider::Aws),
        "gs" => Some(Provider::Gcp),
        "az" | "abfs" | "abfss" => Some(Provider::Azure),
        _ => None,
    }
}

/// Whether a text is a URL of a bucket.
pub(crate) fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

const FORM: &str = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or abfss://container@account.dfs.core.windows.net/prefix";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_bucket_and_prefix() {
        for (url, bucket, prefix) in [
            ("s3://bucket", "s3://bucket", None),
            ("s3://bucket/", "s3://bucket", None),
            ("s3a://bucket/run", "s3a://bucket", Some("run")),
            ("gs://bucket/run/step-1/", "gs://bucket", Some("run/step-1")),
            ("az://container/a b/%41?x#y", "az://container", Some("a b/%41?x#y")),
            ("abfss://c@account.dfs.core.windows.net/run", "abfss://c@account.dfs.core.windows.net", Some("run")),
        ] {
            let parsed = BucketUrl::parse(url).expect(url);
            assert_eq!((&*parsed.bucket, parsed.prefix.as_ref().map(StorePath::as_str)), (bucket, prefix), "{url}");
            assert_eq!(parsed.location(), url.trim_end_matches('/'));
            assert!(is_url(url));
        }
    }

    #[test]
    fn every_scheme_has_its_provider() {
        for scheme in SCHEMES {
            assert!(provider(scheme).is_some(), "{scheme}");
        }
    }

    #[test]
    fn other_urls_are_refused_with_the_right_form() {
        for url in [
            "",
            "bucket/run",
            "s3:/bucket",
            "s3://",
            "s3:///run",
            "http://host/run",
            "s3://bu cket/x",
            "s3://b?x/y",
            "s3://bucket//run",
            "s3://bucket/../x",
            "s3://bucket/a\nb",
            "s3://bucket/run//",
            "S3://bucket",
        ] {
            match BucketUrl::parse(url) {
                Err(StorageError::InvalidUrl { url: named, .. }) => assert_eq!(named, url),
                other => panic!("{url:?}: {other:?}"),
            }
        }
        let shown = BucketUrl::parse("bucket/run").expect_err("no scheme").to_string();
        assert!(shown.contains("s3://bucket/prefix"), "{shown}");
    }
}
