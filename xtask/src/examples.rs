//! The examples, each of which must run to its end.

use crate::features::package;
use crate::run::{Failure, Shell};

const PACKAGE: &str = "dcp-examples";

/// Runs every example.
pub(crate) fn run_all(shell: &Shell) -> Result<(), Failure> {
    for name in names(shell)? {
        shell.run(shell.cargo(["run", "--quiet", "--package", PACKAGE, "--example", &name]))?;
    }
    Ok(())
}

/// The names of the examples.
pub(crate) fn names(shell: &Shell) -> Result<Vec<String>, Failure> {
    let package = package(shell, PACKAGE)?;
    let targets = package["targets"].as_array().into_iter().flatten();
    let examples = targets.filter(|target| target["kind"].as_array().is_some_and(|kinds| kinds[0] == "example"));
    Ok(examples.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect())
}
