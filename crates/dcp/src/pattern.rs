//! Patterns of names.

use dcp_types::Fqn;
use globset::{GlobBuilder, GlobMatcher};

use crate::Error;

/// Whole names, with `*` for any characters, dots among them.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(GlobMatcher);

impl Pattern {
    pub(crate) fn parse(pattern: &str) -> Result<Self, Error> {
        let glob = GlobBuilder::new(pattern).literal_separator(false).backslash_escape(true).build();
        let fault =
            |fault: globset::Error| Error::Pattern { pattern: pattern.into(), reason: fault.kind().to_string() };
        Ok(Self(glob.map_err(fault)?.compile_matcher()))
    }

    pub(crate) fn matches(&self, fqn: &Fqn) -> bool {
        self.0.is_match(fqn.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        self.0.glob().glob()
    }
}
