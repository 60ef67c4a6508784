//! The facade with none and with each single one of its features.

use serde_json::Value;

use crate::run::{Failure, Shell};

const FACADE: &str = "dcp-checkpoint";

/// Checks that the facade compiles with every choice of one feature.
pub(crate) fn check(shell: &Shell) -> Result<(), Failure> {
    let base = ["check", "--quiet", "--package", FACADE, "--no-default-features"];
    shell.run(shell.cargo(base))?;
    for feature in features(shell)? {
        shell.run(shell.cargo(base.into_iter().chain(["--features", feature.as_str()])))?;
    }
    Ok(())
}

fn features(shell: &Shell) -> Result<Vec<String>, Failure> {
    let package = package(shell, FACADE)?;
    let features = package["features"].as_object().map(|features| features.keys().cloned().collect::<Vec<_>>());
    Ok(features.unwrap_or_default().into_iter().filter(|feature| feature != "default").collect())
}

/// What cargo knows of a package of the workspace.
pub(crate) fn package(shell: &Shell, name: &str) -> Result<Value, Failure> {
    let mut metadata = metadata(shell)?;
    let packages = metadata["packages"].as_array_mut();
    let found = packages.and_then(|packages| packages.iter_mut().find(|package| package["name"] == name));
    found.map(Value::take).ok_or_else(|| Failure::new(format!("the workspace has no package {name}")))
}

/// What cargo knows of the workspace.
pub(crate) fn metadata(shell: &Shell) -> Result<Value, Failure> {
    let metadata = shell.output(shell.cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&metadata).map_err(|error| Failure::new(error.to_string()))
}
