//! The variables of the process, as far as they are about clouds.

use std::path::PathBuf;

/// Variables by name. Taken once, so that nobody needs to change those of the process to try others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    variables: Vec<(String, String)>,
}

impl Environment {
    /// Those of this process that are text.
    pub(crate) fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: std::env::vars_os().filter_map(text).collect() }
    }

    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self { variables: variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// The value of a variable, if it has one that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Those whose names start so and that are keys of a client's, in the order of their names: of two that say the same, `AWS_REGION`
    /// and `AWS_DEFAULT_REGION`, it must not be chance which counts.
    pub(crate) fn keys<K: std::str::FromStr>(&self, prefix: &str) -> Vec<(K, String)> {
        let mut named: Vec<_> =
            self.variables.iter().filter(|(name, value)| name.starts_with(prefix) && !value.is_empty()).collect();
        named.sort();
        let known = |(name, value): &(String, String)| Some((name.to_ascii_lowercase().parse().ok()?, value.clone()));
        named.into_iter().filter_map(known).collect()
    }

    /// The home directory.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").or_else(|| self.get("USERPROFILE")).map(PathBuf::from)
    }
}
