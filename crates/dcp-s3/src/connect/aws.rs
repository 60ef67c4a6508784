//! S3, and what speaks its language.

use std::sync::Arc;

use dcp_storage::StorageError;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use super::persistent::{Connector, no_retries};
use super::profile::Profile;
use super::{Client, Environment, no_access, options, unusable};
use crate::Access;
use crate::unfinished::S3Uploads;
use crate::url::BucketUrl;

pub(super) fn connect(url: &BucketUrl, access: &Access, environment: &Environment) -> Result<Client, StorageError> {
    let builder = settings(url, access, environment)?.with_url(&url.bucket).with_retry(no_retries());
    let conditional = |value: &String| value.eq_ignore_ascii_case("etag");
    let keeps_existing = builder.get_config_value(&AmazonS3ConfigKey::ConditionalPut).as_ref().is_none_or(conditional);
    let is_anonymous = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature).is_some_and(is_truthy);
    let connector = Connector::default().keep_existing(keeps_existing);
    // One object is deleted at a time, and not every server knows the request for many.
    let builder = builder.with_disable_bulk_delete(true).with_http_connector(connector.clone());
    let store = Arc::new(builder.build().map_err(unusable(url))?);
    // Who does not sign may not list them; and no key must be looked for to do so.
    let http = connector.last().filter(|_| !is_anonymous);
    let uploads = http.map(|http| Arc::new(S3Uploads::new(Arc::clone(&store), http)) as _);
    Ok(Client { store, uploads })
}

/// What is known of the way there. What comes later takes precedence: the profile, the environment, what the program says; but the keys
/// of a profile that the program names come before those of the environment.
fn settings(url: &BucketUrl, access: &Access, environment: &Environment) -> Result<AmazonS3Builder, StorageError> {
    let told = options(url, access)?;
    let found = environment.keys("AWS_");
    let says = |options: &[(AmazonS3ConfigKey, String)], keys: &[AmazonS3ConfigKey]| {
        options.iter().any(|(key, _)| keys.contains(key))
    };
    let named = access.profile.as_deref().or_else(|| environment.get("AWS_PROFILE"));
    let profile = Profile::find(named, environment).map_err(|reason| no_access(url, reason))?;

    // Of one who asks, all or nothing: a key of one must not meet the secret of another.
    let own_keys = says(&told, &WHO) || access.skip_signature;
    let environment_keys = !own_keys && access.profile.is_none() && says(&found, &WHO);
    let hashing_is_settled = says(&told, &HASHING) || says(&found, &HASHING);
    let mut builder = AmazonS3Builder::new();
    if let Some(profile) = &profile {
        if !own_keys && !environment_keys {
            for (key, value) in profile.credentials().map_err(|reason| no_access(url, reason))? {
                builder = builder.with_config(key, value);
            }
        }
        for (key, value) in profile.settings() {
            builder = builder.with_config(key, value);
        }
    }
    for (key, value) in found {
        if environment_keys || !WHO.contains(&key) {
            builder = builder.with_config(key, value);
        }
    }
    for (key, value) in told {
        builder = builder.with_config(key, value);
    }
    if let Some(region) = &access.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &access.endpoint_url {
        // The more special of the two keys, or the environment's would win.
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if access.skip_signature {
        builder = builder.with_skip_signature(true);
    }
    Ok(if is_encrypted(&builder) {
        // As Amazon's own programs do: what TLS protects need not be hashed once more, which takes most of the time of a save.
        if hashing_is_settled { builder } else { builder.with_unsigned_payload(true) }
    } else {
        // Who gives an endpoint without encryption means it.
        builder.with_allow_http(true)
    })
}

/// As the client takes it.
fn is_truthy(value: String) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "on" | "yes" | "y")
}

/// What says who is asking.
const WHO: [AmazonS3ConfigKey; 7] = [
    AmazonS3ConfigKey::AccessKeyId,
    AmazonS3ConfigKey::SecretAccessKey,
    AmazonS3ConfigKey::Token,
    AmazonS3ConfigKey::WebIdentityTokenFile,
    AmazonS3ConfigKey::RoleArn,
    AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    AmazonS3ConfigKey::ContainerCredentialsFullUri,
];

/// Whether what is sent is hashed and signed.
const HASHING: [AmazonS3ConfigKey; 1] = [AmazonS3ConfigKey::UnsignedPayload];

fn is_encrypted(builder: &AmazonS3Builder) -> bool {
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = endpoint.iter().find_map(|key| builder.get_config_value(key));
    !endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FILES: [(&str, &str); 2] = [
        (
            "credentials",
            "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = default/secret+=\n\
             [work]\naws_access_key_id = WORK\naws_secret_access_key = work#secret\naws_session_token = work;token\n",
        ),
        (
            "config",
            "[default]\nregion = eu-north-1\n[profile work]\nregion = us-west-2\nendpoint_url = http://work:9000\n\
             [profile sso]\nsso_session = corp\nregion = us-east-2\n[sso-session corp]\nsso_region = us-east-1\n",
        ),
    ];

    #[test]
    fn who_does_not_sign_asks_for_no_uploads() {
        let url = BucketUrl::parse("s3://bucket/run").expect("a URL");
        let keys = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let uploads = |more: &[(&str, &str)], access: &Access| {
            let all: Vec<_> = keys.iter().chain(more).copied().collect();
            connect(&url, access, &Environment::of(&all)).expect("a client").uploads.is_some()
        };
        assert!(uploads(&[], &Access::default()));
        assert!(!uploads(&[], &Access::default().skip_signature(true)));
        for yes in ["true", "1", "Yes"] {
            assert!(!uploads(&[("AWS_SKIP_SIGNATURE", yes)], &Access::default()), "{yes}");
        }
    }

    /// What is settled, of these keys, with these variables and this access.
    fn settled(variables: &[(&str, &str)], access: &Access) -> Result<[Option<String>; 5], StorageError> {
        let home = tempfile::tempdir().expect("a temporary directory");
        for (name, content) in FILES {
            fs::write(home.path().join(name), content).expect("written");
        }
        let file = |name: &str| home.path().join(name).to_str().expect("text").to_owned();
        let (credentials, config) = (file("credentials"), file("config"));
        let mut all = vec![("AWS_SHARED_CREDENTIALS_FILE", &*credentials), ("AWS_CONFIG_FILE", &*config)];
        all.extend_from_slice(variables);
        let url = BucketUrl::parse("s3://bucket/run").expect("a URL");
        let builder = settings(&url, access, &Environment::of(&all))?;
        let endpoint = builder.get_config_value(&AmazonS3ConfigKey::S3Endpoint);
        Ok([
            builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId),
            builder.get_config_value(&AmazonS3ConfigKey::SecretAccessKey),
            builder.get_config_value(&AmazonS3ConfigKey::Token),
            builder.get_config_value(&AmazonS3ConfigKey::Region),
            endpoint.or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint)),
        ])
    }

    fn texts(values: [&str; 5]) -> [Option<String>; 5] {
        values.map(|value| (!value.is_empty()).then(|| value.to_owned()))
    }

    #[test]
    fn files_are_read_where_the_environment_has_no_keys() {
        let found = settled(&[], &Access::default()).expect("settled");
        assert_eq!(found, texts(["DEFAULT", "default/secret+=", "", "eu-north-1", ""]));
        let found = settled(&[("AWS_PROFILE", "work")], &Access::default()).expect("settled");
        assert_eq!(found, texts(["WORK", "work#secret", "work;token", "us-west-2", "http://work:9000"]));
    }

    #[test]
    fn environment_takes_precedence_over_files() {
        let keys = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "env-secret"), ("AWS_PROFILE", "work")];
        let found = settled(&keys, &Access::default()).expect("settled");
        // No token: that of the profile belongs to other keys.
        assert_eq!(found, texts(["ENV", "env-secret", "", "us-west-2", "http://work:9000"]));
        let more =
            [&keys[..], &[("AWS_DEFAULT_REGION", "late"), ("AWS_REGION", "r"), ("AWS_ENDPOINT_URL", "http://e")]];
        let found = settled(&more.concat(), &Access::default()).expect("settled");
        assert_eq!(found[3..], texts(["", "", "", "r", "http://e"])[3..]);
    }

    #[test]
    fn program_takes_precedence_over_the_environment() {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "ENV"),
            ("AWS_SECRET_ACCESS_KEY", "env-secret"),
            ("AWS_SESSION_TOKEN", "env-token"),
            ("AWS_REGION", "env"),
            ("AWS_ENDPOINT_URL_S3", "http://env"),
        ];
        let found = settled(&keys, &Access::default().profile("work")).expect("settled");
        assert_eq!(found, texts(["WORK", "work#secret", "work;token", "env", "http://env"]));
        let access = Access::default().region("own").endpoint_url("http://own");
        let found = settled(&keys, &access).expect("settled");
        assert_eq!(found, texts(["ENV", "env-secret", "env-token", "own", "http://own"]));
        let access = Access::default().option("aws_access_key_id", "OWN").option("AWS_SECRET_ACCESS_KEY", "own-secret");
        let found = settled(&keys, &access).expect("settled");
        assert_eq!(found[..3], texts(["OWN", "own-secret", "", "", ""])[..3]);
    }

    #[test]
    fn profile_that_needs_another_program_says_which() {
        let failed = settled(&[("AWS_PROFILE", "sso")], &Access::default());
        let Err(StorageError::NoAccess { location, reason }) = &failed else { panic!("{failed:?}") };
        assert_eq!(location, "s3://bucket/run");
        assert!(reason.contains("aws configure export-credentials --profile sso --format env"), "{reason}");
        // Who has keys from elsewhere needs none of it.
        for access in [Access::default().skip_signature(true), Access::default().option("access_key_id", "K")] {
            assert_eq!(settled(&[("AWS_PROFILE", "sso")], &access).expect("settled")[3], Some("us-east-2".to_owned()));
        }
    }

    #[test]
    fn unknown_profiles_and_options_are_refused() {
        for (variables, access, named) in [
            (&[("AWS_PROFILE", "nobody")][..], Access::default(), "nobody"),
            (&[], Access::default().profile("nobody"), "nobody"),
            (&[], Access::default().option("azure_storage_account_key", "x"), "azure_storage_account_key"),
        ] {
            let failed = settled(variables, &access);
            assert!(
                matches!(&failed, Err(StorageError::NoAccess { reason, .. }) if reason.contains(named)),
                "{failed:?}"
            );
        }
    }

    #[test]
    fn what_is_encrypted_is_not_hashed_unless_somebody_says_so() {
        let url = BucketUrl::parse("s3://bucket").expect("a URL");
        let hashes = |variables: &[(&str, &str)], access: &Access| {
            let builder = settings(&url, access, &Environment::of(variables)).expect("settled");
            builder.get_config_value(&AmazonS3ConfigKey::UnsignedPayload) == Some("false".to_owned())
        };
        let at = |endpoint: &str| Access::default().endpoint_url(endpoint);
        assert!(!hashes(&[], &Access::default()) && !hashes(&[], &at("https://here")));
        assert!(hashes(&[], &at("http://here")));
        assert!(hashes(&[("AWS_UNSIGNED_PAYLOAD", "false")], &Access::default()));
        assert!(!hashes(&[("AWS_UNSIGNED_PAYLOAD", "true")], &at("http://here")));
        assert!(hashes(&[], &Access::default().option("aws_unsigned_payload", "false")));
    }

    #[test]
    fn http_is_allowed_where_it_is_asked_for() {
        let url = BucketUrl::parse("s3://bucket").expect("a URL");
        for (endpoint, allowed) in [("http://here:1", true), ("https://here:1", false)] {
            let access = Access::default().endpoint_url(endpoint).skip_signature(true);
            let builder = settings(&url, &access, &Environment::default()).expect("settled");
            let key = "allow_http".parse().expect("a key");
            assert_eq!(builder.get_config_value(&key), Some(allowed.to_string()), "{endpoint}");
        }
    }
}
