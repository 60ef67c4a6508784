//! Profiles in the files of the AWS command line.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use configparser::ini::{Ini, IniDefault};
use object_store::aws::AmazonS3ConfigKey;

use super::Environment;

/// What the files `credentials` and `config` say under one name.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    name: String,
    entries: HashMap<String, String>,
}

impl Profile {
    /// The profile of this name, or `default`, if there is one.
    ///
    /// # Errors
    /// A reason, if a file cannot be read, or if there is no profile of the name that was given.
    pub(super) fn find(name: Option<&str>, environment: &Environment) -> Result<Option<Self>, String> {
        let wanted = name.unwrap_or(DEFAULT);
        let place = |variable, file| {
            environment.get(variable).map(PathBuf::from).or_else(|| Some(environment.home()?.join(".aws").join(file)))
        };
        let mut entries = HashMap::new();
        let mut found = false;
        // Of a name that stands in both the credentials count.
        for (path, in_config) in
            [(place("AWS_CONFIG_FILE", "config"), true), (place("AWS_SHARED_CREDENTIALS_FILE", "credentials"), false)]
        {
            let Some(section) = path.and_then(|path| section(&path, wanted, in_config).transpose()) else { continue };
            entries.extend(section?);
            found = true;
        }
        match (found, name) {
            (true, _) => Ok(Some(Self { name: wanted.to_owned(), entries })),
            (false, None) => Ok(None),
            (false, Some(name)) => Err(format!("there is no profile {name:?} in ~/.aws/config and ~/.aws/credentials")),
        }
    }

    /// The keys, if they stand there.
    ///
    /// # Errors
    /// A reason, if the profile gets its keys in a way that takes other programs or services.
    pub(super) fn credentials(&self) -> Result<Vec<(AmazonS3ConfigKey, String)>, String> {
        let has_keys =
            self.entries.contains_key("aws_access_key_id") && self.entries.contains_key("aws_secret_access_key");
        if let Some(way) = WAYS.iter().find(|way| !has_keys && self.entries.contains_key(**way)) {
            return Err(format!(
                "the profile {0:?} gets its keys by {way}, which is not done here; have them put into the environment by\n    \
                 eval \"$(aws configure export-credentials --profile {0} --format env)\"",
                self.name
            ));
        }
        Ok(self.given(&[
            ("aws_access_key_id", AmazonS3ConfigKey::AccessKeyId),
            ("aws_secret_access_key", AmazonS3ConfigKey::SecretAccessKey),
            ("aws_session_token", AmazonS3ConfigKey::Token),
        ]))
    }

    /// Everything else that is of use here.
    pub(super) fn settings(&self) -> Vec<(AmazonS3ConfigKey, String)> {
        self.given(&[("region", AmazonS3ConfigKey::Region), ("endpoint_url", AmazonS3ConfigKey::Endpoint)])
    }

    fn given(&self, keys: &[(&str, AmazonS3ConfigKey)]) -> Vec<(AmazonS3ConfigKey, String)> {
        keys.iter().filter_map(|(name, key)| Some((*key, self.entries.get(*name)?.clone()))).collect()
    }
}

const DEFAULT: &str = "default";

/// Ways to keys that only the command line itself goes.
const WAYS: [&str; 6] =
    ["sso_session", "sso_start_url", "credential_process", "role_arn", "web_identity_token_file", "login_session"];

/// What a file says under a name, if it exists and says anything.
fn section(path: &Path, name: &str, in_config: bool) -> Result<Option<HashMap<String, String>>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(format!("{} cannot be read: {fault}", path.display())),
    };
    let mut rules = IniDefault::default();
    rules.case_sensitive = true;
    rules.delimiters = vec!['='];
    // Keys may contain what starts a comment elsewhere.
    rules.inline_comment_symbols = Some(Vec::new());
    let mut file = Ini::new_from_defaults(rules);
    let sections = file.read(text).map_err(|fault| format!("{} cannot be read: {fault}", path.display()))?;
    let header = if in_config && name != DEFAULT { format!("profile {name}") } else { name.to_owned() };
    let Some(entries) = sections.get(&header) else { return Ok(None) };
    let given = entries.iter().filter_map(|(key, value)| Some((key.to_ascii_lowercase(), value.clone()?)));
    Ok(Some(given.filter(|(_, value)| !value.is_empty()).collect()))
}
