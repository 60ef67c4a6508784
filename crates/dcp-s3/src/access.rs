//! What a program says of the way to a bucket beyond its URL.

use std::fmt;

/// How a bucket is reached, beyond its URL and the environment, over which it takes precedence.
///
/// ```
/// use dcp_s3::Access;
/// let public = Access::default().region("us-west-2").skip_signature(true);
/// let own_server = Access::default().endpoint_url("http://storage.local:9000");
/// ```
#[derive(Clone, Default)]
pub struct Access {
    pub(crate) endpoint_url: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) skip_signature: bool,
    pub(crate) options: Vec<(String, String)>,
}

impl Access {
    /// The server to ask instead of the cloud's own: `https://host:port`. One that starts with `http://` is taken as it is, without
    /// encryption.
    #[must_use]
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint_url = Some(url.into());
        self
    }

    /// The region of the bucket (S3).
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The profile in the files of the AWS command line. Its keys take precedence over those in the environment.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Whether requests go out without credentials, for buckets that everybody may read.
    #[must_use]
    pub fn skip_signature(mut self, skip: bool) -> Self {
        self.skip_signature = skip;
        self
    }

    /// Anything else that `object_store` has a key for: `aws_access_key_id`, `google_service_account`, `azure_storage_account_key`, ….
    /// One that it does not know, or that is another cloud's, is an error when the bucket is opened.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }
}

/// Options may be secrets: their values are not shown.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.options.iter().map(|(key, _)| key).collect();
        f.debug_struct("Access")
            .field("endpoint_url", &self.endpoint_url)
            .field("region", &self.region)
            .field("profile", &self.profile)
            .field("skip_signature", &self.skip_signature)
            .field("options", &keys)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Access::default().option("aws_secret_access_key", "hunter2").region("eu-1"));
        assert!(
            shown.contains("aws_secret_access_key") && shown.contains("eu-1") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
