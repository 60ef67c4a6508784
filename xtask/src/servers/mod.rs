//! Real object stores on this machine, and the tests over them.

mod azurite;
mod s3s;
mod server;

use crate::pytorch;
use crate::run::{Failure, Shell};
pub(crate) use s3s::installed as s3_program;
use server::Server;

/// A server with something in it to write to.
#[derive(Debug)]
struct Serving {
    /// It ends with this.
    _server: Server,
    /// How tests get at it.
    environment: Vec<(&'static str, String)>,
}

/// Starts the servers, runs the tests that need them, and stops them, whatever becomes of the tests.
///
/// Without an S3 server nothing is left to do. Of the rest, tests whose paths have these words need more: `azure`, `pytorch`.
pub(crate) fn check(shell: &Shell) -> Result<(), Failure> {
    let s3 = s3s::start(shell).map_err(|why| Failure::left_out(format!("there is no S3 server: {why}")))?;
    let azure = azurite::start(shell).map_err(|why| format!("there is no Azure server: {why}"));
    let python = pytorch::python(shell).map_err(|why| format!("there is no PyTorch: {why}"));
    let missing: Vec<(&str, &String)> = [("azure", azure.as_ref().err()), ("pytorch", python.as_ref().err())]
        .into_iter()
        .filter_map(|(word, why)| Some((word, why?)))
        .collect();

    let mut tests = shell.cargo(["test", "--workspace", "--all-features", "--tests", "--no-fail-fast"]);
    tests.args(["--", "--ignored", "servers::"]);
    // There is no server for Google's storage that speaks what its clients do.
    tests.args(["--skip", "gcs"]);
    tests.args(missing.iter().flat_map(|(word, _)| ["--skip", word]));
    for serving in [Some(&s3), azure.as_ref().ok()].into_iter().flatten() {
        tests.envs(serving.environment.iter().map(|(name, value)| (name, value)));
    }
    tests.envs(python.iter().map(|python| (pytorch::PYTHON, python)));
    shell.run(tests)?;

    if missing.is_empty() {
        return Ok(());
    }
    let why: Vec<&str> = missing.iter().map(|(_, why)| why.as_str()).collect();
    Err(Failure::left_out(why.join("; ")))
}
