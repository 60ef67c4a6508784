//! Patterns of names.

use dcp_types::Fqn;
use globset::{GlobBuilder, GlobMatcher};

use crate::Error;

/// Which names are meant: those that match a pattern to include, if there is one, and none to exclude.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Patterns {
    pub(crate) fn include(&mut self, pattern: &str) -> Result<(), Error> {
        self.include.push(Pattern::parse(pattern)?);
        Ok(())
    }

    pub(crate) fn exclude(&mut self, pattern: &str) -> Result<(), Error> {
        self.exclude.push(Pattern::parse(pattern)?);
        Ok(())
    }

    pub(crate) fn take(&self, fqn: &Fqn) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(fqn));
        (self.include.is_empty() || matches(&self.include)) && !matches(&self.exclude)
    }

    /// Finds a pattern to include that matches none of the names.
    pub(crate) fn check<'n, I: Iterator<Item = &'n Fqn>>(
        &self,
        names: impl Fn() -> I,
        location: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        match self.include.iter().find(|pattern| !names().any(|fqn| pattern.matches(fqn))) {
            None => Ok(()),
            Some(pattern) => {
                Err(Error::NothingChosen { location: location(), choice: format!("the pattern {:?}", pattern.text()) })
            }
        }
    }
}

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
